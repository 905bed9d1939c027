"""A collection that is large, and one that grows: rollout files as a collector writes them, without the rollouts."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measuring.made_rows import placed, rollout_row, task_row, write_manifest
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import LineFile

REPEATS = 8
_VARIANTS = 200
_FILLER = "The policy thinks. " * 650
_FLUSH_S = 0.02


class MadeRollouts:
    """Lines of rollouts by number, about 19 kB each: 200 different ones, each at a place of its own."""

    def __init__(self) -> None:
        rng = random.Random(1)
        self._rows: list[dict[str, Any]] = [rollout_row(task, 0, rng) for task in range(_VARIANTS)]
        for row in self._rows:
            thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": _FILLER}]}
            row["response"]["output"].insert(0, thought)

    def line(self, number: int) -> bytes:
        """Return one, with its line end."""
        row = self._rows[number % _VARIANTS]
        task, repeat = divmod(number, REPEATS)
        return orjson.dumps(placed({**row, "difficulty": task % 5}, task, repeat), option=orjson.OPT_APPEND_NEWLINE)


def write_rollouts(path: Path, count: int, expected: int) -> OutputPaths:
    """Write a collection of `expected` rollouts of which `count` are settled."""
    paths, made = OutputPaths(path), MadeRollouts()
    tasks = -(-expected // REPEATS)
    write_manifest(paths, tasks, REPEATS)
    with paths.materialized_inputs.open("wb") as file:
        file.writelines(orjson.dumps(placed(task_row(task), task, 0)) + b"\n" for task in range(tasks))
    with path.open("wb") as file:
        file.writelines(made.line(number) for number in range(count))
    return paths


@contextlib.contextmanager
def growing(path: Path, begin: int, per_second: float) -> Iterator[None]:
    """Append rollouts from number `begin` on, from a thread, for as long as the context lasts."""
    made, is_over = MadeRollouts(), threading.Event()

    def write(append: Callable[[bytes], None]) -> None:
        began_at, number = time.monotonic(), begin
        while not is_over.wait(_FLUSH_S):
            due = begin + int((time.monotonic() - began_at) * per_second)
            while number < due:
                append(made.line(number))
                number += 1

    with LineFile(path) as file:
        writer = threading.Thread(target=write, args=(file.append_line,), daemon=True)
        writer.start()
        try:
            yield
        finally:
            is_over.set()
            writer.join()
