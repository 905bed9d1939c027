"""The gym for scripts and notebooks without `await`: an event loop in a thread of its own, called from outside."""

import atexit
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nemo_gym.in_process.collecting import TaskLike
from nemo_gym.in_process.results import RolloutResult
from nemo_gym.launch.loop_thread import LoopThread
from nemo_gym.rollouts.collector import CollectorLimits

if TYPE_CHECKING:
    from nemo_gym.in_process.gym import Gym

_END = object()


class BlockingGym:
    """A gym that is up, for code that can't await. Ctrl-C cuts off what is being waited for; the gym stays up.

    Args:
        start: Starts the gym; called on the loop of the thread.
    """

    def __init__(self, start: Callable[[], "Awaitable[Gym]"]) -> None:
        self._loop = LoopThread("nemo-gym")
        self._loop.begin()
        self._is_open = True
        try:
            self._gym = self._loop.result_of(_awaited(start))
        except BaseException:
            self._is_open = False
            self._loop.end()
            raise
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut off what runs, and shut the servers down; may be called again."""
        if not self._is_open:
            return
        self._is_open = False
        atexit.unregister(self.close)
        try:
            self._loop.result_of(self._gym.close())
        finally:
            self._loop.end()

    def rollout(self, task: TaskLike, **params: Any) -> RolloutResult:
        """Return the result of one rollout; see `Gym.rollout`."""
        result: RolloutResult = self._loop.result_of(self._gym.rollout(task, **params))
        return result

    def collect(
        self,
        tasks: Iterable[TaskLike] | Path,
        num_repeats: int = 1,
        *,
        params: Mapping[str, Any] | None = None,
        limits: CollectorLimits | None = None,
    ) -> Iterator[RolloutResult]:
        """Yield the results of all rollouts as they finish; see `Gym.collect`."""
        results = self._gym.collect(tasks, num_repeats, params=params, limits=limits)
        try:
            while True:
                result: Any = self._loop.result_of(_awaited(lambda: anext(results, _END)))
                if result is _END:
                    return
                yield result
        finally:
            if self._is_open:
                self._loop.result_of(results.aclose())

    def example_tasks(self) -> list[dict[str, Any]]:
        """Return the rows of the example datasets of the configuration."""
        rows: list[dict[str, Any]] = self._gym.example_tasks()
        return rows


async def _awaited(start: Callable[[], Awaitable[Any]]) -> Any:
    return await start()
