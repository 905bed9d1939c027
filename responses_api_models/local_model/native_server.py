"""llama.cpp's server, in this process: the only module that touches `xllamacpp`. Calls block and release the GIL."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xllamacpp  # type: ignore[import-untyped]

from responses_api_models.local_model.generation import ContextOverflowError, EngineError, RefusedRequestError

Chunk = Mapping[str, Any]

_LOG_ALL = 3
_LOG_NOTHING = -1
_TOKENIZE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class NativeSettings:
    """How the model is loaded.

    Attributes:
        model_path: GGUF file.
        context_size_tokens: Context of each slot.
        num_slots: Requests decoded at the same time.
        num_threads: CPU threads for decoding.
        num_gpu_layers: Layers computed on the GPU; 0 is none.
        native_log: llama.cpp's own log on stderr.
    """

    model_path: Path
    context_size_tokens: int
    num_slots: int
    num_threads: int
    num_gpu_layers: int
    native_log: bool


class NativeServer:
    """A loaded model with its slots. Thread-safe; more calls than slots wait inside for one."""

    def __init__(self, settings: NativeSettings) -> None:
        """Load the model; takes about half a second for 100 MB of weights.

        Raises:
            EngineError: llama.cpp cannot load the file.
        """
        # The native server also listens on a loopback port of its own choice. Nobody but us is to use it.
        self._key = secrets.token_hex(32)
        try:
            self._server = xllamacpp.Server(_params(settings, self._key))
        except Exception as error:  # whatever the binding raises, the meaning is the same
            raise EngineError(f"llama.cpp cannot load {settings.model_path}: {error}") from error

    def chat(self, body: Mapping[str, Any], on_chunk: Callable[[Chunk], bool]) -> None:
        """Generate; `on_chunk` gets every piece in order and ends the generation by returning True.

        Raises:
            ContextOverflowError: The prompt is longer than the context of a slot.
            RefusedRequestError: The body is not acceptable.
            EngineError: Anything else went wrong.
        """
        self._call(self._server.handle_chat_completions, {**body, "stream": True}, on_chunk)

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a text completion. Raises as `chat` does."""
        answers: list[Chunk] = []
        self._call(self._server.handle_completions, body, answers.append)
        return dict(answers[-1])

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`, without the tokens that begin or end a document."""
        address = urlsplit(self._server.listening_address)
        connection = HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=_TOKENIZE_TIMEOUT_S)
        try:  # over its socket, since the binding has no call for it
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request("POST", "/tokenize", json.dumps({"content": text, "add_special": False}), headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise EngineError(f"llama.cpp cannot tokenize: {body[:200]!r}")
        return [int(token) for token in json.loads(body)["tokens"]]

    def close(self) -> None:
        """Free the model. No call may be running."""
        del self._server

    def _call(self, handle: Callable[..., Any], body: Mapping[str, Any], on_answer: Callable[[Chunk], Any]) -> None:
        errors: list[Chunk] = []

        def receive(answer: Chunk) -> bool:
            if "error" in answer:
                errors.append(answer["error"])
                return True
            return bool(on_answer(answer))

        try:
            returned = handle(dict(body), receive)
        except ValueError as error:
            raise RefusedRequestError(str(error)) from error
        except RuntimeError as error:
            raise EngineError(str(error)) from error
        if isinstance(returned, dict):
            receive(returned)
        if errors:
            raise _error(errors[0])


def _error(error: Chunk) -> Exception:
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflowError(message)
    return RefusedRequestError(message) if error.get("code") == 400 else EngineError(message)


def _params(settings: NativeSettings, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(settings.model_path)
    params.n_parallel = settings.num_slots
    params.n_ctx = settings.context_size_tokens * settings.num_slots
    params.n_gpu_layers = settings.num_gpu_layers
    params.cpuparams.n_threads = settings.num_threads
    params.cpuparams_batch.n_threads = settings.num_threads
    params.verbosity = _LOG_ALL if settings.native_log else _LOG_NOTHING
    params.api_keys = [key]
    params.n_threads_http = 1
    params.ui = False
    params.endpoint_slots = False
    params.warmup = False
    # Both would surprise: shrinking the context to what memory is free, and 8 GB of old prompts kept aside.
    params.fit_params = False
    params.cache_ram_mib = 0
    return params


def token_grammar(token_ids: Sequence[int]) -> str:
    """Return the GBNF grammar that allows exactly this sequence of tokens."""
    return "root ::= " + " ".join(f"<[{token_id}]>" for token_id in token_ids)
