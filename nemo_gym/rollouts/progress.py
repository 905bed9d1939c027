"""Progress while a collection runs: a bar on a terminal, else a plain line now and then."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

_PLAIN_EVERY_S = 5.0
_TICK_S = 1.0


@dataclass(frozen=True)
class ProgressState:
    """What there is to show. `at_start` rollouts were settled by an earlier run; `limit` is an adaptive one."""

    done: int
    failed: int
    in_flight: int
    expected: int
    mean_reward: float | None
    at_start: int = 0
    limit: int | None = None


class ProgressDisplay:
    """Shows done / failed / in flight, rate, time left, mean reward so far. `update` is cheap: call it often."""

    def __init__(self, state: Callable[[], ProgressState]) -> None:
        self._state = state
        self._began_at = time.monotonic()
        self._shown_at = self._began_at
        self._is_terminal = sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> "ProgressDisplay":
        if self._is_terminal:
            self._start_bar()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._show_bar(self._bar)
            self._bar.stop()

    async def keep_showing(self) -> None:
        """Show the state also while nothing is settled; runs until it is cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.update()

    def update(self) -> None:
        """Show the state, unless it was shown a moment ago."""
        now = time.monotonic()
        if now - self._shown_at < (0.1 if self._bar is not None else _PLAIN_EVERY_S):
            return
        self._shown_at = now
        if self._bar is not None:
            self._show_bar(self._bar)
        else:
            state = self._state()
            sys.stderr.write(f"{state.done + state.failed}/{state.expected} {self._details(state)}\n")
            sys.stderr.flush()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (BarColumn(bar_width=16), MofNCompleteColumn(), TextColumn("{task.fields[details]}"))
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("rollouts", total=self._state().expected, details="")
        self._bar.start()

    def _show_bar(self, bar: "Progress") -> None:
        state = self._state()
        bar.update(self._task, completed=state.done + state.failed, details=self._details(state))

    def _details(self, state: ProgressState) -> str:
        new = state.done + state.failed - state.at_start
        rate = new / max(time.monotonic() - self._began_at, 1e-9)
        left = (state.expected - state.done - state.failed) / rate if rate > 0 else None
        parts = [f"{state.done} done", f"{state.failed} failed", f"{state.in_flight} in flight", f"{rate:.1f}/s"]
        if state.limit is not None:
            parts[2] += f" (limit {state.limit})"
        if left is not None:
            parts.append(f"{_duration(left)} left")
        if state.mean_reward is not None:
            parts.append(f"mean reward {state.mean_reward:.3f}")
        return " · ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
