"""Following a collection: it grows, is torn, replaced, truncated, gone; its table is kept and used again."""

from pathlib import Path

import orjson
import pytest

from benchmarks.measuring.made_rows import placed, task_row, write_manifest
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import LineFile
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.identity import identity_of
from nemo_gym.viewer.collection.table_cache import cache_path
from nemo_gym.viewer.library import Library
from tests.made_collections import failure_record, write_collection


def line(task: int, repeat: int = 0, reward: float = 1.0, **extra: object) -> bytes:
    """Return a short rollout line."""
    row = {**task_row(task), "response": {"output": []}, "reward": reward, **extra}
    return orjson.dumps(placed(row, task, repeat)) + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


@pytest.fixture
def paths(tmp_path: Path) -> OutputPaths:
    return OutputPaths(tmp_path / "rollouts.jsonl")


def caught_up(paths: OutputPaths) -> Follower:
    follower = Follower(paths.rollouts)
    follower.catch_up()
    return follower


def test_a_torn_last_line_counts_once_it_is_whole(paths: OutputPaths) -> None:
    whole = line(1)
    append(paths.rollouts, line(0), whole[:-30])
    follower = caught_up(paths)
    assert len(follower.table) == 1
    append(paths.rollouts, whole[-30:])
    follower.catch_up()
    assert [follower.table[n].task for n in follower.table.current()] == [0, 1]
    assert follower.table.damaged == []


def test_a_collection_that_is_not_there_yet_is_followed_from_its_first_row_on(paths: OutputPaths) -> None:
    follower = caught_up(paths)
    assert identity_of(follower).state == "missing"
    append(paths.rollouts, line(0))
    before = follower.version
    follower.catch_up()
    assert len(follower.table) == 1
    assert follower.version > before


@pytest.mark.parametrize("how", ["replaced", "truncated", "vanished"])
def test_a_collection_that_begins_anew_is_read_from_the_start(paths: OutputPaths, how: str) -> None:
    append(paths.rollouts, line(0), line(1), line(2))
    append(paths.failures, orjson.dumps(failure_record(7, 0)) + b"\n")
    follower = caught_up(paths)
    assert follower.table.num_settled == 4
    if how == "truncated":
        paths.rollouts.write_bytes(line(5))
    else:
        paths.rollouts.rename(paths.rollouts.with_suffix(".old"))
        paths.failures.unlink()
    if how == "replaced":
        append(paths.rollouts, line(5))
    follower.catch_up()
    tasks = [follower.table[number].task for number in follower.table.current()]
    assert tasks == {"replaced": [5], "truncated": [5, 7], "vanished": []}[how]


def test_a_failure_that_a_resume_has_made_good_counts_no_more(paths: OutputPaths) -> None:
    append(paths.failures, orjson.dumps(failure_record(0, 0)) + b"\n", orjson.dumps(failure_record(1, 0)) + b"\n")
    append(paths.rollouts, line(1))
    follower = caught_up(paths)
    append(paths.rollouts, line(0))
    follower.catch_up()
    rows = [follower.table[number] for number in follower.table.current()]
    assert sorted((row.task, row.outcome) for row in rows) == [(0, "scored"), (1, "scored")]
    assert follower.table.num_settled == 2


def test_lines_that_are_no_rollouts_are_told_and_skipped(paths: OutputPaths) -> None:
    deep = b"[" * 3_000 + b"]" * 3_000
    append(paths.rollouts, b"not JSON\n", b"[1]\n", b'{"reward": 1, "x": %s}\n' % deep, b"\n", line(0))
    follower = caught_up(paths)
    assert len(follower.table) == 1
    assert follower.table.num_damaged == 3
    assert "line 1 of" in follower.table.damaged[0]


def test_a_file_that_no_collector_wrote_is_numbered_in_order(paths: OutputPaths) -> None:
    paths.rollouts.write_bytes(b'{"reward": 0.5, "response": {"output": []}}\n' * 3)
    table = caught_up(paths).table
    assert [table[number].key for number in table.current()] == ["0-0", "1-0", "2-0"]


def test_fields_of_the_task_row_are_no_numbers_of_the_verdict(tmp_path: Path) -> None:
    follower = caught_up(write_collection(tmp_path / "rollouts.jsonl", tasks=3))
    assert sorted(follower.table.numbers) == ["reward_parts.price", "reward_parts.rooms", "rooms_booked"]


def test_what_was_sent_is_known_of_a_collection_followed_from_before_its_first_row(paths: OutputPaths) -> None:
    follower = caught_up(paths)
    append(paths.materialized_inputs, orjson.dumps(placed(task_row(0), 0, 0)) + b"\n")
    append(paths.rollouts, line(0, score=0.5))
    follower.catch_up()
    assert sorted(follower.table.numbers) == ["score"]


def test_a_large_table_is_kept_and_only_what_is_new_is_read(paths: OutputPaths) -> None:
    append(paths.rollouts, *(line(task, text="x" * 1_000_000) for task in range(20)))
    append(paths.failures, orjson.dumps(failure_record(50, 0)) + b"\n")
    first = caught_up(paths)
    assert cache_path(paths.rollouts).exists()
    append(paths.rollouts, line(20, reward=0.25))
    again = Follower(paths.rollouts)
    again.refresh()
    assert again.look.is_caught_up  # 20 MB would have taken three steps
    assert [again.table[n] for n in range(21)] == [first.table[n] for n in range(21)]
    assert again.table[21].reward == 0.25


def test_a_kept_table_of_another_file_is_not_used(paths: OutputPaths) -> None:
    append(paths.rollouts, *(line(task, text="x" * 1_000_000) for task in range(20)))
    caught_up(paths)
    paths.rollouts.unlink()
    append(paths.rollouts, line(3))
    assert [row.task for row in map(caught_up(paths).table.__getitem__, range(1))] == [3]


def test_nothing_but_hidden_files_is_written_beside_a_collection(tmp_path: Path) -> None:
    paths = write_collection(tmp_path / "rollouts.jsonl", tasks=5)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    caught_up(paths)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if not path.name.startswith(".")} == before


def test_the_state_says_whether_a_collector_is_writing(paths: OutputPaths) -> None:
    append(paths.rollouts, line(0))
    write_manifest(paths, tasks=2, repeats=1)
    follower = caught_up(paths)
    assert identity_of(follower).state == "cut off"
    with LineFile(paths.rollouts) as file:
        follower.catch_up()
        assert identity_of(follower).state == "running"
        file.append_line(line(1))
    # It has ended since the last look, which didn't see its last row: only the next one tells how.
    assert identity_of(follower).state == "running"
    follower.catch_up()
    assert identity_of(follower).state == "complete"


def test_a_collection_is_not_called_cut_off_before_it_has_been_read(paths: OutputPaths) -> None:
    append(paths.rollouts, *(line(task, text="x" * 1_000_000) for task in range(10)))
    write_manifest(paths, tasks=10, repeats=1)
    follower = Follower(paths.rollouts)
    assert follower.refresh()
    assert identity_of(follower).state == "being read"
    follower.catch_up()
    assert identity_of(follower).state == "complete"


def test_a_card_is_made_from_what_the_files_say_now(paths: OutputPaths) -> None:
    append(paths.rollouts, line(0))
    write_manifest(paths, tasks=2, repeats=1)
    library = Library(paths.rollouts.parent)
    states = [[card.identity and card.identity.state for card in library.shelf().cards]]
    append(paths.rollouts, line(1))
    states.append([card.identity and card.identity.state for card in library.shelf().cards])
    assert states == [["cut off"], ["complete"]]
