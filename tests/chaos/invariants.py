"""What holds after every case, whatever happened: exact counts, whole lines, nothing invented, nothing left behind."""

import json
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bounds import HANGS_AFTER_S

Key = tuple[int, int]


@dataclass(frozen=True)
class Tally:
    """The counts as the files say them, not as the metrics file claims."""

    scored: int
    masked: int
    failed: dict[str, int]
    not_settled: int
    rows: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]

    @property
    def settled(self) -> int:
        """Rollouts with a reward."""
        return self.scored + self.masked


def check_output(output: Path, expected: int, *, finished: bool = True) -> Tally:
    """Assert the invariants of a collection's files; return the counts.

    Args:
        output: The rollout file.
        expected: Tasks times repeats.
        finished: The collector wrote its metrics: they must agree.
    """
    rows, failures = read_whole_lines(output), read_whole_lines(beside(output, "failures.jsonl"))
    settled = Counter(map(_key, rows))
    assert all(count == 1 for count in settled.values()), f"settled twice: {settled.most_common(3)}"
    assert all(isinstance(row["reward"], int | float) for row in rows)
    for failure in failures:
        assert "reward" not in failure, "a failure has a reward"
        assert "response" not in failure, "a failure has a response"
    last = {_key(failure): failure for failure in failures if _key(failure) not in settled}
    masked = sum(bool(row.get("mask_sample")) for row in rows)
    not_settled = expected - len(rows) - len(last)
    assert not_settled >= 0, "more outcomes than rollouts"
    kinds = Counter(failure["failure_kind"] for failure in last.values())
    tally = Tally(len(rows) - masked, masked, dict(kinds), not_settled, tuple(rows), tuple(last.values()))
    read_whole_lines(beside(output, "journal.jsonl"))
    if finished:
        _metrics_agree(tally, json.loads(beside(output, "metrics.json").read_text()), expected)
    return tally


def read_whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSONL file; assert that every line is whole and valid."""
    if not path.exists():
        return []
    text = path.read_bytes()
    assert not text or text.endswith(b"\n"), f"{path} ends in the middle of a line"
    return [json.loads(line) for line in text.splitlines()]


def beside(output: Path, name: str) -> Path:
    """Return one of the files beside a rollout file."""
    return output.with_name(f"{output.stem}_{name}")


def assert_nothing_left(home: Path, ports: Iterable[int], *folders: Path, but: Collection[int] = ()) -> None:
    """Assert that soon no process of this home lives, nothing listens on its ports, and no unfinished file is left."""
    end = time.monotonic() + HANGS_AFTER_S
    while (left := processes_of(home).keys() - set(but)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left, f"left running: {processes_of(home)}"
    for port in ports:
        assert not listens(port), f"port {port} is still listened on"
    assert_no_drafts(*folders)


def assert_no_drafts(*folders: Path) -> None:
    """Assert that no file that was being written is left."""
    drafts = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".new", ".tmp", ".part")]
    assert not drafts, f"left behind: {drafts}"


def processes_of(home: Path) -> dict[int, str]:
    """Return the live processes whose environment has this NEMO_GYM_HOME, by pid."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("NEMO_GYM_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return found


def listens(port: int) -> bool:
    """Tell whether a connection to a loopback port is taken."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _metrics_agree(tally: Tally, metrics: dict[str, Any], expected: int) -> None:
    assert metrics["expected"] == expected
    assert (metrics["scored"], metrics["masked"]) == (tally.scored, tally.masked)
    assert metrics["failed_by_kind"] == tally.failed
    assert metrics["not_settled"] == tally.not_settled
    parts = ("scored", "masked", "failed", "not_settled")
    assert sum(metrics[part] for part in parts) == expected, "the counts do not add up"


def _key(row: dict[str, Any]) -> Key:
    return row["_ng_task_index"], row["_ng_rollout_index"]
