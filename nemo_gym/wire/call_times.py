"""When the calls of one rollout began and how long each took: made by its agent, kept in its row as `_ng_calls`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import orjson
from pydantic import BaseModel, Field

from nemo_gym.wire.json_object import JsonObject

CALLS_KEY = "_ng_calls"

CallKind = Literal["seed", "model", "tool", "turn", "verify"]


class TimedCall(BaseModel):
    """One call that an agent made for a rollout."""

    kind: CallKind = Field(description="`seed`: the session opens; `turn`: the user's next message is asked for.")
    at: float = Field(description="When it began: seconds since the epoch, by the clock of the agent's machine.")
    elapsed_s: float = Field(description="Until its answer was there, retries included.")
    call_id: str | None = Field(default=None, description="Of a tool call: that of the items it belongs to.")


class CallTimes:
    """Takes the times of one rollout's calls, about a microsecond for each."""

    def __init__(self) -> None:
        self._calls: list[JsonObject] = []

    @contextmanager
    def timed(self, kind: CallKind, call_id: str | None = None) -> Iterator[None]:
        """Note a call that lasts as long as the block, also one that raises."""
        at, began = time.time(), time.perf_counter()
        try:
            yield
        finally:
            call: JsonObject = {"kind": kind, "at": round(at, 3), "elapsed_s": round(time.perf_counter() - began, 4)}
            self._calls.append(call if call_id is None else {**call, "call_id": call_id})

    def added_to(self, answer: bytes) -> bytes:
        """Return the text of a JSON object with the calls as its last field; any other text as it is."""
        text = answer.strip()
        if not text.startswith(b"{") or not text.endswith(b"}"):
            return answer
        # Not parsed: a verdict may hold a million token ids.
        before = text[:-1].rstrip()
        comma = b"" if before == b"{" else b","
        return b'%b%b"%b":%b}' % (before, comma, CALLS_KEY.encode(), orjson.dumps(self._calls))
