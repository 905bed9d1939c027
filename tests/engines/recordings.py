"""What real engines answered, and an ASGI app that answers the same requests with it.

`recordings/<engine>/<name>.json` has exchanges in the order in which they were made. What differs from run to run (ids,
times) is replaced. Folders in `by_format` have bodies written after an engine's published format, with its
source; these weren't seen from a running engine.
"""

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "recordings"
RECORDED_TIME = 1_700_000_000
# Ids of answers and of tool calls, and the hash of the settings in vLLM's fingerprint.
_HEX_ID = r'(?<=["_-])(?:[0-9a-f]{32}|[0-9a-f]{16})\b'
_UUID = r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"
_RANDOM_ID = re.compile(rf"{_UUID}|{_HEX_ID}|(?<=\d-)[0-9a-f]{{8}}\b")
_TIMES = frozenset({"created", "created_at"})
_HEADERS = frozenset({"content-type", "allow", "retry-after", "www-authenticate"})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Call(_Frozen):
    """A request.

    Attributes:
        path: With its query.
        body: Sent as JSON; None sends nothing.
        text: Sent as it is in place of `body`, for bodies that aren't JSON.
        key: The caller's: the engine's own, another one, or none.
    """

    method: Literal["GET", "POST"] = "POST"
    path: str
    body: JsonValue = None
    text: str | None = None
    key: Literal["valid", "wrong", "none"] = "valid"


class Answer(_Frozen):
    """An answer. `headers` has those that a client acts on; `body` is text when it isn't JSON."""

    status: int
    headers: dict[str, str] = {}
    body: JsonValue = None


class Exchange(_Frozen):
    """A request and its answer."""

    call: Call
    answer: Answer


class Recording(_Frozen):
    """Exchanges that belong together.

    Attributes:
        name: What they show.
        engine: Name and version.
        profile: How the engine was started, see `engine.py`; None for bodies by format.
        source: Where the format is published; None for what a running engine said.
    """

    name: str
    engine: str
    profile: str | None = None
    source: str | None = None
    exchanges: list[Exchange]


def load(engine: str) -> dict[str, Recording]:
    """Return an engine's recordings by name.

    Args:
        engine: A folder in `recordings`, such as "vllm_0_32_0" or "by_format/sglang".
    """
    texts = (path.read_text() for path in sorted((FOLDER / engine).glob("*.json")))
    return {recording.name: recording for recording in map(Recording.model_validate_json, texts)}


def save(recording: Recording) -> None:
    """Write a recording in place of the one with its name."""
    folder = FOLDER / recording.engine
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recording.model_dump(exclude_defaults=True), ensure_ascii=False, indent=1)
    # Lists of numbers, which token data is full of, take one line each. Strings in JSON have no line breaks.
    text = re.sub(r'\[\n([^][{}"]*?)\n *\]', lambda found: f"[{' '.join(found[1].split())}]", text)
    (folder / f"{recording.name}.json").write_text(text + "\n")


def stable_answer(status: int, headers: Iterable[tuple[str, str]], text: str) -> Answer:
    """Return an answer with what differs from run to run replaced.

    Args:
        status: Of the answer.
        headers: All of the answer.
        text: Its body.
    """
    numbers: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        digits = f"{numbers.setdefault(found[0], len(numbers) + 1):0{len(found[0])}x}"
        return "".join("-" if old == "-" else new for old, new in zip(found[0], digits, strict=True))

    text = _RANDOM_ID.sub(numbered, text)
    kept = {name.lower(): value for name, value in headers if name.lower() in _HEADERS}
    try:
        body = _with_recorded_times(json.loads(text))
    except ValueError:
        body = text
    return Answer(status=status, headers=kept, body=body)


def _with_recorded_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_recorded_times(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {key: RECORDED_TIME if key in _TIMES else _with_recorded_times(entry) for key, entry in value.items()}


class ReplayApp:
    """Answers recorded requests, as an ASGI app.

    A request gets the answer of the exchange with its method, path, query and body; if several were recorded, of the
    first, then the second, and from then on the last. The caller's key doesn't count. One that wasn't recorded gets a
    501 that says what was.

    Args:
        recordings: What it knows.
        ignoring: Keys at the top of a body that don't count, such as sampling parameters.

    Attributes:
        calls: Every request that came, oldest first.
    """

    def __init__(self, recordings: Iterable[Recording], *, ignoring: Collection[str] = ()) -> None:
        self.calls: list[Call] = []
        self._ignoring = frozenset(ignoring)
        self._answers: dict[str, list[Answer]] = {}
        self._known: list[str] = []
        for recording in recordings:
            for exchange in recording.exchanges:
                self._answers.setdefault(self._key(exchange.call), []).append(exchange.answer)
                self._known.append(f"{exchange.call.method} {exchange.call.path} ({recording.name})")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other kinds of connection are left alone."""
        if scope["type"] == "http":
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        text = (await request.body()).decode("utf-8", "replace")
        call = _call(request.method, request.url.path + query, text)
        self.calls.append(call)
        answers = self._answers.get(self._key(call))
        if not answers:
            message = f"{call.method} {call.path} wasn't recorded with this body; recorded: {', '.join(self._known)}"
            return JSONResponse({"error": {"message": message}}, 501)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer.body, str):
            return Response(answer.body, answer.status, answer.headers)
        return JSONResponse(answer.body, answer.status, answer.headers)

    def _key(self, call: Call) -> str:
        body = call.body
        if isinstance(body, dict):
            body = {key: value for key, value in body.items() if key not in self._ignoring}
        return json.dumps([call.method, call.path, body, call.text], sort_keys=True)


def _call(method: str, path: str, text: str) -> Call:
    if not text:
        return Call.model_validate({"method": method, "path": path})
    try:
        return Call.model_validate({"method": method, "path": path, "body": json.loads(text)})
    except ValueError:
        return Call.model_validate({"method": method, "path": path, "text": text})
