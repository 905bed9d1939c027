"""An event loop in a thread of its own, for programs and notebooks that have none, or whose own must not wait."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class LoopThread:
    """An event loop in a background thread. It lives from `begin` to `end`, and never longer than the process.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def begin(self) -> None:
        """Start the loop."""
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name=self._name, daemon=True)
        self._thread.start()
        self._begun.wait()

    def result_of(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run `work` on the loop and return its result; a Ctrl-C that comes meanwhile cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def end(self) -> None:
        """Stop the loop: what still runs on it is cancelled, and waited for."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._begun.set()
        await self._over.wait()
