"""llama.cpp's server, in this process: the only module that touches `xllamacpp`.

It is spoken to over its loopback socket (`native_client`). Of the binding's own calls none tokenizes or renders a
template, a streamed answer leaves out the ids of tokens that end inside a character, and one in a piece can't be
cancelled; over the socket all of that works.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp  # type: ignore[import-untyped]

from responses_api_models.local_model.llama.generation import EngineError

_LOG_ALL = 3
_LOG_NOTHING = -1
_SPARE_HTTP_THREADS = 4
"""Beside one for each generation: tokenizing doesn't wait for a slot."""


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
        chat_template: Jinja text; None takes the one in the GGUF file.
    """

    model_path: Path
    context_size_tokens: int
    num_slots: int
    num_threads: int
    num_gpu_layers: int
    native_log: bool
    chat_template: str | None = None


class NativeServer:
    """A loaded model with its slots; more requests than slots wait inside for one."""

    def __init__(self, settings: NativeSettings) -> None:
        """Load the model; takes about half a second for 100 MB of weights.

        Raises:
            EngineError: llama.cpp cannot load the file, or not with this chat template.
        """
        # The native server listens on a port of its own choice. Nobody but us is to use it.
        self.key = secrets.token_hex(32)
        try:
            self._server = xllamacpp.Server(_params(settings, self.key))
        except Exception as error:  # whatever the binding raises, the meaning is the same
            raise EngineError(f"llama.cpp cannot load {settings.model_path}: {error}") from error
        self.url: str = self._server.listening_address.rstrip("/")

    def close(self) -> None:
        """Free the model."""
        del self._server


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
    params.n_threads_http = settings.num_slots + _SPARE_HTTP_THREADS
    params.ui = False
    params.endpoint_slots = False
    params.warmup = False
    if settings.chat_template is not None:
        params.chat_template = settings.chat_template
    # Both would surprise: shrinking the context to what memory is free, and 8 GB of old prompts kept aside.
    params.fit_params = False
    params.cache_ram_mib = 0
    return params
