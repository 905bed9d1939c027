"""The scripted model as a raw ASGI app: an OpenAI-compatible endpoint that plays prepared answers.

Raw, and without validation of the request: in benchmarks what the model costs is taken from what is measured.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from responses_api_models.scripted_model.answer import Answer
from responses_api_models.scripted_model.asgi import ClientLeftError, Receive, Scope, Send, read_body, send_body
from responses_api_models.scripted_model.chat_body import chat_body
from responses_api_models.scripted_model.control import CONTROL_PREFIX, serve_control
from responses_api_models.scripted_model.conversation import Conversation, chat_conversation, responses_conversation
from responses_api_models.scripted_model.fault import SlowFault
from responses_api_models.scripted_model.fault_playback import play_fault
from responses_api_models.scripted_model.latency import draw_latency_s
from responses_api_models.scripted_model.openai_error import RequestError
from responses_api_models.scripted_model.response_body import response_body
from responses_api_models.scripted_model.script import choose_answer
from responses_api_models.scripted_model.settings import ScriptedSettings
from responses_api_models.scripted_model.state import EndpointState


class Api(NamedTuple):
    """How one of the two APIs reads its requests and writes its answers."""

    read: Callable[[Mapping[str, Any]], Conversation]
    write: Callable[..., dict[str, Any]]


APIS_BY_PATH = {
    "/v1/responses": Api(responses_conversation, response_body),
    "/v1/chat/completions": Api(chat_conversation, chat_body),
}


class ScriptedEndpoint:
    """ASGI app with the model routes, `GET /v1/models`, `GET /health`, `GET /` and `/script/...`."""

    def __init__(self, settings: ScriptedSettings) -> None:
        self.settings = settings
        self.state = EndpointState(settings)
        key = settings.api_key
        self._authorization = None if key is None else f"Bearer {key.get_secret_value()}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        try:
            await self._route(scope, receive, send)
        except RequestError as refusal:
            await send_body(send, refusal.body, status=refusal.status)
        except ClientLeftError:
            pass  # nobody is left to answer

    async def play(self, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one model call without any HTTP, after its latency; no faults are played.

        Args:
            path: `/v1/responses` or `/v1/chat/completions`.
            request: The create parameters.

        Raises:
            RequestError: The request is refused, as it would be over HTTP.
        """
        api, raw = APIS_BY_PATH[path], orjson.dumps(request)
        number, record = self.state.record.note_request(path, raw), self.state.record
        conversation = api.read(request)
        record.note_key(conversation.task_key())
        answer = choose_answer(conversation, self.settings.rules, self.settings.default_answer)
        record.enter()
        try:
            await self._wait(answer, number)
        finally:
            record.leave()
        return self._write(api, answer, conversation, len(raw))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path in APIS_BY_PATH:
            if method != "POST":
                raise RequestError(f"{method} is not allowed here; use POST.", status=405)
            await self._serve_model_call(path, scope, receive, send)
        elif path.startswith(CONTROL_PREFIX):
            await serve_control(self.state, scope, receive, send)
        elif path == "/v1/models":
            self._check_key(scope)
            await send_body(send, orjson.dumps(_model_list(self.settings.model_name)))
        elif path in ("/", "/health"):
            await send_body(send, b'{"status":"ok"}')
        else:
            raise RequestError(f"Unknown request URL: {method} {path}.", status=404, code="unknown_url")

    async def _serve_model_call(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        record = self.state.record
        record.enter()
        try:
            raw = await read_body(receive)
            number = record.note_request(path, raw)
            self._check_key(scope)
            await self._answer(APIS_BY_PATH[path], raw, number, receive, send)
        finally:
            record.leave()

    async def _answer(self, api: Api, raw: bytes, number: int, receive: Receive, send: Send) -> None:
        conversation = api.read(_parsed(raw))
        self.state.record.note_key(conversation.task_key())
        answer = choose_answer(conversation, self.settings.rules, self.settings.default_answer)

        def render(answer: Answer) -> bytes:
            return orjson.dumps(self._write(api, answer, conversation, len(raw)))

        fault = self.state.fault_for(conversation, number)
        if fault is None or isinstance(fault, SlowFault):
            await self._wait(answer, number, fault)
            await send_body(send, render(answer))
        else:
            await play_fault(fault, answer, render, receive, send)

    def _write(self, api: Api, answer: Answer, conversation: Conversation, request_bytes: int) -> dict[str, Any]:
        model = conversation.request.get("model") or self.settings.model_name
        return api.write(answer, conversation.request, model=model, request_bytes=request_bytes)

    async def _wait(self, answer: Answer, number: int, slow: SlowFault | None = None) -> None:
        latency = self.settings.latency_s if answer.latency_s is None else answer.latency_s
        if not latency and slow is None:
            return
        chance = self.state.latency_chance(number)
        extra_s = draw_latency_s(slow.latency_s, chance) if slow else 0.0
        await asyncio.sleep(draw_latency_s(latency, chance) + extra_s)

    def _check_key(self, scope: Scope) -> None:
        if self._authorization is None:
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(given, self._authorization):
            raise RequestError("Incorrect API key provided.", status=401)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request body is no valid JSON: {error}") from error
    if not isinstance(request, dict):
        raise RequestError("The request body must be a JSON object.")
    if request.get("stream"):
        raise RequestError("Streaming is not played by the scripted model.", code="unsupported_value", param="stream")
    return request


def _model_list(model_name: str) -> dict[str, Any]:
    model = {"id": model_name, "object": "model", "created": 0, "owned_by": "scripted"}
    return {"object": "list", "data": [model]}
