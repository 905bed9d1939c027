"""Notices that a caller has gone while its handler still works."""

import asyncio

from starlette.types import Receive

WATCH_CALLER_AFTER_S = 0.5
"""A handler that runs longer than this is cancelled when its caller goes away; shorter ones are not worth a watcher."""


class DisconnectWatcher:
    """Cancels the task that entered it when the caller closes its connection; `gone` then says so."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_CALLER_AFTER_S, self._start)

    def _start(self) -> None:
        self._watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task is not None:
            self._task.cancel("the caller closed its connection")

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
