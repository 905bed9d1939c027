"""A real engine as a process: start it on a port, kill it, start it again on the same port."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.engines.setup_engines import PLAIN, THINKING, TRANSFORMERS_VERSION, VLLM_VERSION, EnginesHome

# Idle, an engine starts within 80 s; two busy cores and a cold disk make that several minutes.
START_BOUND_S = 600.0
STOP_BOUND_S = 30.0
ANSWER_BOUND_S = 300.0
API_KEY = "the-engines-key"
_LOG_TAIL_LINES = 40
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}


class EngineError(Exception):
    """The engine didn't start; the text ends with the end of its log."""


@dataclass(frozen=True)
class Profile:
    """One way of starting an engine.

    Attributes:
        engine: Name and version, which is also the folder of its recordings.
        module: What `python -m` runs.
        arguments: Given to it, without host and port.
        environment: Variables beside those of this process.
    """

    engine: str
    module: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


_VLLM = f"vllm_{VLLM_VERSION.replace('.', '_')}"
_VLLM_MODULE = "vllm.entrypoints.openai.api_server"
_VLLM_MEMORY = {"VLLM_CPU_KVCACHE_SPACE": "1"}
# In float32 which token is the likeliest doesn't depend on the CPU. The context is short to be easily overflown.
_VLLM_SIZES = ("--dtype", "float32", "--max-model-len", "1024", "--max-num-seqs", "8", "--enforce-eager")
_VLLM_TOOLS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--trust-request-chat-template")
_VLLM_TRAINING = ("--enable-prompt-tokens-details", "--enable-scale-out", "--api-key", API_KEY)

PROFILES = {
    # Everything switched on that a trainer uses, and a key.
    "vllm_open": Profile(
        _VLLM,
        _VLLM_MODULE,
        ("--model", PLAIN, "--served-model-name", "smollm2", *_VLLM_SIZES, *_VLLM_TOOLS, *_VLLM_TRAINING),
        {**_VLLM_MEMORY, "VLLM_SERVER_DEV_MODE": "1"},
    ),
    # A reasoning parser, and otherwise what vLLM gives by default.
    "vllm_reasoning": Profile(
        _VLLM,
        _VLLM_MODULE,
        ("--model", THINKING, "--served-model-name", "smollm2", *_VLLM_SIZES, "--reasoning-parser", "deepseek_r1"),
        _VLLM_MEMORY,
    ),
    "transformers_serve": Profile(
        f"transformers_{TRANSFORMERS_VERSION.replace('.', '_')}",
        "transformers.cli.transformers",
        ("serve", PLAIN, "--dtype", "float32", "--device", "cpu"),
    ),
}


@dataclass
class Engine:
    """An engine on a port of this machine.

    Attributes:
        profile: How it is started.
        home: Where it is installed.
        port: Where it listens, also after a restart.
        log: Where its outputs go; a restart adds to it.
    """

    profile: Profile
    home: EnginesHome
    port: int
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens; the OpenAI-compatible routes are below `/v1`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is healthy.

        Raises:
            EngineError: It ended, or wasn't healthy within START_BOUND_S.
        """
        self.launch()
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Wait for a launched engine.

        Raises:
            EngineError: It ended, or wasn't healthy within START_BOUND_S.
        """
        assert self._process is not None
        deadline = time.monotonic() + START_BOUND_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise EngineError(f"the engine ended with status {self._process.returncode}\n{self._log_tail()}")
            if self.is_healthy():
                return
            time.sleep(0.5)
        self.kill()
        raise EngineError(f"the engine wasn't healthy after {START_BOUND_S:.0f} s\n{self._log_tail()}")

    def launch(self) -> None:
        """Start it without waiting: for minutes nobody listens on its port."""
        command = [str(self.home.python), "-m", self.profile.module, *self.profile.arguments]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                env={**os.environ, **_QUIET, "HF_HUB_CACHE": str(self.home.hub), **self.profile.environment},
                cwd=self.home.models,  # a model is named by its folder here, so that answers don't name this machine's
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # its workers are in its process group, so that they end with it
            )

    def is_healthy(self) -> bool:
        """Tell whether `/health` says 200."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End it and its workers at once, as `kill -9` does, and free the shared memory that they leave behind."""
        left_behind = self._shared_memory()
        self._end(signal.SIGKILL)
        for path in left_behind:
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End it in order, or at once if that takes longer than STOP_BOUND_S."""
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()

    def client(self) -> httpx.Client:
        """Return a client with the engine's key that takes a new connection for each request.

        vLLM closes a connection that was idle for 5 s, so a request on a kept one can be lost.
        """
        headers = {"Authorization": f"Bearer {API_KEY}", "Connection": "close"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=ANSWER_BOUND_S)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, with_signal)
            self._process.wait(STOP_BOUND_S)
        self._process = None

    def _shared_memory(self) -> set[Path]:
        """Return the files in /dev/shm that the engine and its workers have mapped: 420 MB for vLLM."""
        if self._process is None or self._process.poll() is not None:
            return set()
        main = psutil.Process(self._process.pid)
        found: set[Path] = set()
        for process in (main, *main.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                found |= {Path(mapped.path) for mapped in process.memory_maps() if mapped.path.startswith("/dev/shm/")}
        return found

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"end of {self.log}:", *lines[-_LOG_TAIL_LINES:]])
