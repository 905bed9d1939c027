"""The scripted model as a raw ASGI app: an OpenAI-compatible endpoint that plays prepared answers.

Raw, and without validation of the request: in benchmarks it shares the CPU with what is measured.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model.answers import add_token_data, chat_body, response_body
from responses_api_models.scripted_model.asgi import (
    ClientLeftError,
    HangUpError,
    Receive,
    RequestError,
    Scope,
    Send,
    read_body,
    send_body,
    send_headers,
)
from responses_api_models.scripted_model.control import CONTROL_PREFIX, EndpointState, serve_control
from responses_api_models.scripted_model.conversation import Conversation, chat_conversation, responses_conversation
from responses_api_models.scripted_model.faults import SlowFault, TokenDataFault, play_fault, spoiled
from responses_api_models.scripted_model.script import Answer, AnswerFunction, Latency, answer_of, choose_answer
from responses_api_models.scripted_model.settings import ScriptedSettings
from responses_api_models.scripted_model.tokens import detokenize, tokenize


class Api(NamedTuple):
    """How one of the two APIs reads its requests and writes its answers."""

    name: str
    read: Callable[[Mapping[str, Any]], Conversation]
    write: Callable[..., JsonObject]


APIS_BY_PATH = {
    "/v1/responses": Api("responses", responses_conversation, response_body),
    "/v1/chat/completions": Api("chat", chat_conversation, chat_body),
}
_TOKENIZER_BY_PATH = {"/tokenize": tokenize, "/detokenize": detokenize}
PATHS = (*APIS_BY_PATH, *_TOKENIZER_BY_PATH, "/v1/models")
"""Paths an app has to route here, apart from those below `CONTROL_PREFIX`."""


class ScriptedEndpoint:
    """ASGI app with the model routes, the list of models, the tokenizer's routes, `/health`, `/` and `/script/...`.

    Attributes:
        function: Chooses the answers, instead of scripts and rules, where a program in this process set it.
    """

    def __init__(self, settings: ScriptedSettings) -> None:
        self.settings = settings
        self.function: AnswerFunction | None = None
        self.state = EndpointState(settings)
        key = settings.api_key
        self._authorization = None if key is None else f"Bearer {key.get_secret_value()}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        try:
            await self._route(scope, receive, send)
        except RequestError as refusal:
            await send_body(send, refusal.body, status=refusal.status)
        except HangUpError:
            await send_headers(send, 1)  # without the promised body the HTTP server closes the connection
        except ClientLeftError:
            pass  # nobody is left to answer

    async def play(self, path: str, request: Mapping[str, Any]) -> JsonObject:
        """Return the answer to one model call without any HTTP, after its latency; no faults are played.

        Args:
            path: `/v1/responses` or `/v1/chat/completions`.
            request: The create parameters.

        Raises:
            RequestError: The request is refused, as it would be over HTTP.
        """
        api, raw = self._api("POST", path), orjson.dumps(request)
        number, record = self.state.record.note_request(path, raw), self.state.record
        conversation, answer = await self._choose(api, request)
        record.enter()
        try:
            await self._wait(answer, number)
        finally:
            record.leave()
        return self._write(api, answer, conversation, len(raw))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path in APIS_BY_PATH:
            await self._serve_model_call(self._api(method, path), scope, receive, send)
        elif path.startswith(CONTROL_PREFIX):
            await serve_control(self.state, scope, receive, send)
        elif path == "/v1/models":
            self._check_key(scope)
            await send_body(send, orjson.dumps(_model_list(self.settings.model_name)))
        elif path in _TOKENIZER_BY_PATH:
            _check_post(method)
            request = _parsed(await read_body(receive))
            self._check_model(request)
            await send_body(send, orjson.dumps(_TOKENIZER_BY_PATH[path](request)))
        elif path in ("/", "/health"):
            await send_body(send, b'{"status":"ok"}')
        else:
            raise _unknown_url(method, path)

    def _api(self, method: str, path: str) -> Api:
        api = APIS_BY_PATH[path]
        if api.name not in self.settings.apis:
            raise _unknown_url(method, path)
        _check_post(method)
        return api

    async def _serve_model_call(self, api: Api, scope: Scope, receive: Receive, send: Send) -> None:
        record = self.state.record
        record.enter()
        try:
            raw = await read_body(receive)
            number = record.note_request(scope["path"], raw)
            self._check_key(scope)
            await self._answer(api, raw, number, receive, send)
        finally:
            record.leave()

    async def _answer(self, api: Api, raw: bytes, number: int, receive: Receive, send: Send) -> None:
        conversation, answer = await self._choose(api, _parsed(raw))
        self.state.check_weights()
        fault = self.state.fault_for(conversation, number)

        def render(answer: Answer) -> bytes:
            body = self._write(api, answer, conversation, len(raw))
            return spoiled(body, fault) if isinstance(fault, TokenDataFault) else orjson.dumps(body)

        if fault is None or isinstance(fault, SlowFault | TokenDataFault):
            await self._wait(answer, number, fault.latency_s if isinstance(fault, SlowFault) else 0.0)
            self.state.check_weights()  # an update that began meanwhile ends what was being generated
            await send_body(send, render(answer))
        else:
            await play_fault(fault, answer, render, receive, send)

    async def _choose(self, api: Api, request: Mapping[str, Any]) -> tuple[Conversation, Answer]:
        self._check_model(request)
        conversation = api.read(request)
        self.state.record.note_key(conversation.task_key())
        if self.function is not None:
            return conversation, await answer_of(self.function, request)
        return conversation, choose_answer(conversation, self.settings.rules, self.settings.default_answer)

    def _write(self, api: Api, answer: Answer, conversation: Conversation, request_bytes: int) -> JsonObject:
        model = conversation.request.get("model") or self.settings.model_name
        body = api.write(answer, conversation.request, model=model, request_bytes=request_bytes)
        if self.settings.return_token_id_information and api.name == "responses":
            add_token_data(body, answer, conversation.request)
        if self.state.weight_version is not None:
            body["weight_version"] = self.state.weight_version
        return body

    async def _wait(self, answer: Answer, number: int, extra: Latency = 0.0) -> None:
        latency = self.settings.latency_s if answer.latency_s is None else answer.latency_s
        if latency or extra:
            chance = self.state.latency_chance(number)
            await asyncio.sleep(_drawn_s(latency, chance) + _drawn_s(extra, chance))

    def _check_model(self, request: Mapping[str, Any]) -> None:
        model, form = request.get("model"), self.settings.unknown_model_error
        if form and model not in (None, self.settings.model_name):
            raise _unknown_model(model, form)

    def _check_key(self, scope: Scope) -> None:
        if self._authorization is None:
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(given, self._authorization):
            raise RequestError("Incorrect API key provided.", status=401)


def _check_post(method: str) -> None:
    if method != "POST":
        raise RequestError(f"{method} is not allowed here; use POST.", status=405)


def _unknown_url(method: str, path: str) -> RequestError:
    return RequestError(f"Unknown request URL: {method} {path}.", status=404, code="unknown_url")


def _unknown_model(model: Any, form: str) -> RequestError:
    message = f"The model `{model}` does not exist"
    if form == "openai":
        return RequestError(f"{message} or you do not have access to it.", status=404, code="model_not_found")
    error = {"message": f"{message}.", "type": "NotFoundError", "param": "model", "code": 404}
    return RequestError(message, status=404, body=orjson.dumps({"error": error}))


def _drawn_s(latency: float | tuple[float, float], chance: float) -> float:
    return latency[0] + (latency[1] - latency[0]) * chance if isinstance(latency, tuple) else latency


def _parsed(raw: bytes) -> JsonObject:
    try:
        request = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request body isn't valid JSON: {error}") from error
    if not isinstance(request, dict):
        raise RequestError("The request body must be a JSON object.")
    if request.get("stream"):
        raise RequestError("Streaming is not played by the scripted model.", code="unsupported_value", param="stream")
    return request


def _model_list(model_name: str) -> JsonObject:
    model = {"id": model_name, "object": "model", "created": 0, "owned_by": "scripted"}
    return {"object": "list", "data": [model]}
