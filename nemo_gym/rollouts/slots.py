"""How many rollouts may run at once: a fixed number, or as many as the endpoint keeps up with."""

import asyncio
from collections import deque
from typing import Literal

from nemo_gym.servers.http.connections import descriptor_limit, max_connections

DEFAULT_IN_FLIGHT = 1_024
InFlight = int | Literal["auto"] | None
_START = 8
_SMALLEST_WINDOW = 8
_GROWTH, _OVERLOAD_SHRINK = 1.5, 0.5
_KEEPS_UP, _FALLS_BEHIND = 1.3, 2.0
_FORGETTING = 1.02


class Slots:
    """Slots for rollouts; whoever runs one acquires before and releases after.

    Args:
        limit: Rollouts at once, from 1.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_free(self) -> bool:
        """Take a slot if one is free."""
        if self.in_use >= self.limit:
            return False
        self.in_use += 1
        return True

    async def acquire(self) -> None:
        """Wait for a slot and take it."""
        while not self.take_free():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def release(self, seconds: float, *, overloaded: bool) -> None:
        """Give a slot back after a rollout of so many seconds; `overloaded`: the endpoint could not keep up."""
        self.in_use -= 1
        self.learn(seconds, overloaded=overloaded)
        while self._waiting and self.in_use < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def learn(self, seconds: float, *, overloaded: bool) -> None:
        """Take in how a rollout went; a fixed limit learns nothing."""


class AdaptiveSlots(Slots):
    """Slots whose number grows while the endpoint keeps up, and shrinks when it does not.

    A window is as many finished rollouts as there are slots. Its mean time is compared with the best mean so far: up
    to 1.3 times, half as many slots again; over 2 times, as many fewer as bring it back to 1.3, at most half; between
    them, no change. A rollout that failed because the endpoint was overloaded halves the slots, once for each window.
    The best mean is slowly forgotten (2 % a window), since later tasks may take longer by themselves.

    Args:
        most: The limit never grows beyond it.
    """

    def __init__(self, most: int = 65_536) -> None:
        super().__init__(min(_START, most))
        self._most = most
        self._best_mean_s: float | None = None
        self._begin_window()

    def learn(self, seconds: float, *, overloaded: bool) -> None:
        """Take in one rollout; at the end of a window, change the number of slots."""
        if overloaded:
            self._resize(_OVERLOAD_SHRINK)
            return
        self._finished += 1
        self._total_s += seconds
        if self._finished < self._window:
            return
        if self._is_settling:
            self._begin_window()  # these were started before the last change
        else:
            self._end_window(self._total_s / self._finished)

    def _end_window(self, mean_s: float) -> None:
        best = mean_s if self._best_mean_s is None else min(mean_s, self._best_mean_s * _FORGETTING)
        self._best_mean_s = best
        if mean_s <= best * _KEEPS_UP:
            self._resize(_GROWTH)
        elif mean_s > best * _FALLS_BEHIND:
            # What is in flight and how long it takes grow together at an endpoint that is full.
            self._resize(max(_OVERLOAD_SHRINK, _KEEPS_UP * best / mean_s))
        else:
            self._begin_window()

    def _resize(self, factor: float) -> None:
        if factor < 1 and self._is_settling:
            return
        self.limit = max(1, min(self._most, round(self.limit * factor)))
        self._begin_window(settling=factor < 1)

    def _begin_window(self, *, settling: bool = False) -> None:
        self._window = max(_SMALLEST_WINDOW, self.limit)
        self._finished = 0
        self._total_s = 0.0
        self._is_settling = settling


def slots_for(wanted: InFlight, num_drivers: int = 1) -> Slots:
    """Return the slots for what `num_samples_in_parallel` says; None: `DEFAULT_IN_FLIGHT`.

    There are never more than the processes that run rollouts may have connections, since each rollout needs one.
    """
    connections = max_connections() * num_drivers
    if wanted == "auto":
        return AdaptiveSlots(connections)
    return Slots(min(wanted or DEFAULT_IN_FLIGHT, connections))


def limit_note(wanted: InFlight, rollouts: int, num_drivers: int = 1) -> str | None:
    """Return a line that says why fewer than `rollouts` run at once, where nobody asked for that; else None."""
    connections = max_connections() * num_drivers
    asked = rollouts if wanted == "auto" else min(rollouts, wanted or DEFAULT_IN_FLIGHT)
    if asked > connections:
        who = "this process" if num_drivers == 1 else "each driver"
        files = f"{who} may have {descriptor_limit():,} files open (ulimit -n)"
        return f"at most {connections:,} rollouts run at once, because {files}"
    if wanted is None and rollouts > DEFAULT_IN_FLIGHT:
        return f"at most {DEFAULT_IN_FLIGHT:,} rollouts run at once; +num_samples_in_parallel=N changes that"
    return None
