"""Serving an app from a thread of this process, on a free loopback port: for tests and notebooks."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import uvicorn_config

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0


@contextmanager
def serving_in_threads() -> Iterator[Callable[[ASGIApp], int]]:
    """Give a function that serves an app on 127.0.0.1 and returns its port; at the end all stop together.

    The function raises RuntimeError when the app did not start within 10 s; its log says why.
    """
    running: list[_ThreadServer] = []

    def serve(app: ASGIApp) -> int:
        server = _ThreadServer(uvicorn_config(app))
        running.append(server)
        return server.start()

    try:
        yield serve
    finally:
        for server in running:
            server.stop()
        for server in running:
            server.thread.join(STOP_TIMEOUT_S)


@contextmanager
def serve_in_thread(app: ASGIApp) -> Iterator[int]:
    """Serve `app` on 127.0.0.1 while the `with` block runs; gives the port. Raises like `serving_in_threads`."""
    with serving_in_threads() as serve:
        yield serve(app)


class _ThreadServer(uvicorn.Server):
    """Stops at once when told so: uvicorn's own loop looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listener = bind("127.0.0.1", 0)
        self._settled = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread = threading.Thread(target=self._serve_until_stopped, daemon=True)

    def start(self) -> int:
        port: int = self._listener.getsockname()[1]
        self.thread.start()
        self._settled.wait(START_TIMEOUT_S)
        if not self.started:
            raise RuntimeError("the app did not start; its log says why")
        return port

    def stop(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._settled.set()
        await self._stopping.wait()

    def _serve_until_stopped(self) -> None:
        with contextlib.suppress(SystemExit), self._listener:  # SystemExit: the start failed, and uvicorn logged why
            self.run([self._listener])
        self._settled.set()
