"""Ours and the floor of the same mode, up at the same time against one endpoint."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contestants.endpoint import MockEndpoint, mock_endpoint
from benchmarks.contestants.floor_run import FloorRun, colocated_floor, separate_floor
from benchmarks.contestants.gym_run import GymRun, gym_run
from benchmarks.options import Options


@contextlib.contextmanager
def side_by_side(
    folder: Path,
    options: Options,
    *,
    endpoint: Sequence[str] = (),
    ours: Sequence[str] = (),
    floor: Sequence[str] = (),
) -> Iterator[tuple[MockEndpoint, GymRun, FloorRun]]:
    """Run both in the mode of `options`.

    Args:
        endpoint: More arguments of the mock endpoint.
        ours: More overrides for `ng_run`.
        floor: More arguments of the floor's servers.

    Raises:
        Refused: `ng_run` would not start this way.
    """
    start_floor = colocated_floor if options.colocate else separate_floor
    with contextlib.ExitStack() as stack:
        mock = stack.enter_context(mock_endpoint(folder, *endpoint))
        run = stack.enter_context(gym_run(folder, mock.url, *options.overrides, *ours))
        yield mock, run, stack.enter_context(start_floor(folder, mock.url, *floor))
