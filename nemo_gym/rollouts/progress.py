"""Progress while a collection runs: a bar on a terminal, else a plain line now and then."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

_FIRST_LINE_S, _LONGEST_GAP_S, _GAP_GROWTH = 10.0, 60.0, 1.5
_BAR_GAP_S = 0.1
_TICK_S = 1.0
_KINDS_SHOWN = 3


@dataclass(frozen=True)
class ProgressState:
    """What there is to show.

    Attributes:
        at_start: Rollouts that an earlier run settled.
        limit: How many may be in flight, where that adapts to the endpoint.
        failed_by_kind: Failures counted by kind.
        retries: Attempts so far that followed a failed one.
        latency_p50_s: Median time of the last rollouts, in seconds.
    """

    done: int
    failed: int
    in_flight: int
    expected: int
    mean_reward: float | None
    at_start: int = 0
    limit: int | None = None
    failed_by_kind: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    latency_p50_s: float | None = None

    @property
    def finished(self) -> int:
        """Rollouts that this run has settled."""
        return self.done + self.failed - self.at_start


class Pace:
    """How fast rollouts finish: over the last minute, or over the last three of them where they take longer."""

    def __init__(self, now: float) -> None:
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def rate(self, now: float, state: ProgressState) -> float | None:
        """Take in the state and return rollouts per second; None before the first has finished."""
        if now - self._samples[-1][0] >= _TICK_S:
            self._samples.append((now, state.finished))
        window_s = max(_LONGEST_GAP_S, 3 * (state.latency_p50_s or 0.0))
        while len(self._samples) > 1 and now - self._samples[1][0] >= window_s:
            self._samples.popleft()
        since, before = self._samples[0]
        return (state.finished - before) / (now - since) if state.finished > before and now > since else None

    def seconds_left(self, now: float, state: ProgressState) -> float | None:
        """Return the time to the end; None before as many have finished as are in flight: until then it is a guess."""
        rate = self.rate(now, state)
        left = state.expected - state.done - state.failed
        if rate is None or not left or state.finished < max(3, state.in_flight):
            return None
        return left / rate


class ProgressDisplay:
    """Shows the state on standard error. `update` is cheap: call it often.

    On a terminal it is a bar. Elsewhere it is a line after 10 s, and further ones at growing distances up to a minute.
    """

    def __init__(self, state: Callable[[], ProgressState], clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._pace = Pace(clock())
        self._gap_s = _FIRST_LINE_S
        self._next_at = clock() + self._gap_s
        self._has_spoken = False
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
        self.close()

    def close(self) -> None:
        """Show the last state, unless nothing was shown before, and end."""
        if self._bar is not None:
            self._show_bar(self._bar)
            self._bar.stop()
            self._bar = None
        elif self._has_spoken:
            self._write_line()
            self._has_spoken = False

    async def keep_showing(self) -> None:
        """Show the state also while nothing is settled; runs until it is cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.update()

    def update(self) -> None:
        """Show the state, unless it was shown a moment ago."""
        now = self._clock()
        if now < self._next_at:
            return
        if self._bar is not None:
            self._next_at = now + _BAR_GAP_S
            self._show_bar(self._bar)
        else:
            self._gap_s = min(_LONGEST_GAP_S, self._gap_s * _GAP_GROWTH)
            self._next_at = now + self._gap_s
            self._write_line()

    def _write_line(self) -> None:
        state = self._state()
        self._has_spoken = True
        say(f"{state.done + state.failed}/{state.expected} · {self._details(state)}")

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        text = TextColumn("{task.fields[details]}", markup=False, table_column=Column(overflow="fold"))
        self._bar = Progress(BarColumn(bar_width=12), MofNCompleteColumn(), text, console=Console(stderr=True))
        self._task = self._bar.add_task("rollouts", total=self._state().expected, details="")
        self._next_at = self._clock()
        self._bar.start()

    def _show_bar(self, bar: "Progress") -> None:
        state = self._state()
        bar.update(self._task, completed=state.done + state.failed, total=state.expected, details=self._details(state))

    def _details(self, state: ProgressState) -> str:
        now = self._clock()
        left = self._pace.seconds_left(now, state)
        limit = "" if state.limit is None else f" (limit {state.limit})"
        parts = [
            f"{state.done} done" if state.failed else None,
            _failures(state),
            f"{state.in_flight} in flight{limit}",
            f"{state.retries} retries" if state.retries else None,
            _per_time(self._pace.rate(now, state)),
            None if state.latency_p50_s is None else f"p50 {state.latency_p50_s:.3g} s",
            None if left is None else f"{_duration(left)} left",
            None if state.mean_reward is None else f"mean reward {state.mean_reward:.3f}",
        ]
        return " · ".join(part for part in parts if part is not None)


def say(line: str) -> None:
    """Write a line to standard error, where progress goes."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _failures(state: ProgressState) -> str | None:
    if not state.failed:
        return None
    most = sorted(state.failed_by_kind.items(), key=lambda item: -item[1])
    named = [f"{kind} {count}" for kind, count in most[:_KINDS_SHOWN]] + ["…"] * (len(most) > _KINDS_SHOWN)
    return f"{state.failed} failed" + (f" ({', '.join(named)})" if named else "")


def _per_time(rate: float | None) -> str | None:
    """Return a rate in the unit that keeps it from being shown as 0.0."""
    if rate is None:
        return None
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.1f}/{unit}"
    return f"{rate * 3600:.1f}/h"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
