"""Ctrl-C and SIGTERM as futures: the first asks to stop in order, the second to stop at once."""

import asyncio
import signal
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """While entered, the two signals no longer end the process; `first` and `second` get their numbers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.first: asyncio.Future[int] = self._loop.create_future()
        self.second: asyncio.Future[int] = self._loop.create_future()

    def __enter__(self) -> "SignalWatch":
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._got, number)
        return self

    async def first_or(self, other: "asyncio.Future[Any]") -> None:
        """Return when the first signal came or `other` is done."""
        await asyncio.wait([self.first, other], return_when=asyncio.FIRST_COMPLETED)

    async def second_or(self, other: "asyncio.Future[Any]") -> None:
        """Return when the second signal came or `other` is done."""
        await asyncio.wait([self.second, other], return_when=asyncio.FIRST_COMPLETED)

    def _got(self, number: int) -> None:
        future = self.second if self.first.done() else self.first
        if not future.done():
            future.set_result(number)

    def __exit__(self, *exc_info: object) -> None:
        for number in _SIGNALS:
            self._loop.remove_signal_handler(number)
