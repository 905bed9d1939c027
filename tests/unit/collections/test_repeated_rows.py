"""Which rows of a task file are one task."""

import base64
import itertools

import pytest

from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import Manifest, make_manifest
from nemo_gym.collections.reading.repeated_rows import RepeatedRows


def manifest_of(rows: list[str], num_repeats: int = 1) -> Manifest:
    tasks = read_task_set(row.encode() for row in rows)
    return make_manifest(tasks, num_repeats=num_repeats, agent_name="agent", params={}, server_config={}, code={})


def test_rows_that_are_equal_and_follow_each_other_are_one_task() -> None:
    rows = RepeatedRows(manifest_of(list("aabbba"), num_repeats=2))
    assert [rows.first(row) for row in range(6)] == [0, 0, 2, 2, 2, 5]
    assert [rows.num_rows_of(task) for task in (0, 2, 5)] == [2, 3, 1]
    assert [rows.place(row, 1) for row in range(6)] == [(0, 1), (0, 3), (2, 1), (2, 3), (2, 5), (5, 1)]
    assert (rows.num_tasks, rows.group_size) == (3, None)


@pytest.mark.parametrize(
    ("written", "num_tasks", "group_size"),
    [("aaaabbbb", 2, 8), ("abcd", 4, 2), ("aaaa", 1, 8), ("aabbbb", 2, None), ("abba", 3, None), ("", 0, 2)],
)
def test_a_group_is_as_large_as_its_rows_have_repeats(written: str, num_tasks: int, group_size: int | None) -> None:
    rows = RepeatedRows(manifest_of(list(written), num_repeats=2))
    assert (rows.num_tasks, rows.group_size) == (num_tasks, group_size)


def test_without_digests_each_row_is_a_task_of_its_own() -> None:
    unknown = manifest_of(["a", "a"], num_repeats=4).model_copy(update={"row_digests": ""})
    for rows in (RepeatedRows(None), RepeatedRows(unknown)):
        assert [rows.first(row) for row in (0, 1, 9)] == [0, 1, 9]
        assert [rows.num_rows_of(row) for row in (0, 1, 9)] == [1, 1, 1]
        assert rows.place(1, 3) == (1, 3)
    assert (RepeatedRows(unknown).num_tasks, RepeatedRows(unknown).group_size) == (2, 4)


def test_a_row_that_the_task_file_does_not_have_is_a_task_of_its_own() -> None:
    rows = RepeatedRows(manifest_of(["a", "a"]))
    assert [(rows.first(row), rows.num_rows_of(row)) for row in (-1, 2)] == [(-1, 1), (2, 1)]


def test_a_reverification_counts_the_repeats_of_the_rollouts_it_verifies() -> None:
    source = manifest_of(["a", "a"], num_repeats=2)
    tasks = {"reverified_digests": source.row_digests, "reverified_repeats": source.repeats_of_a_row}
    again = manifest_of(["0-0", "0-1", "1-0", "1-1"]).model_copy(update=tasks)
    assert base64.b64decode(again.row_digests) != again.task_digests()
    places = [(row, repeat) for row in range(2) for repeat in range(2)]
    assert [RepeatedRows(again).place(*place) for place in places] == [(0, 0), (0, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize("length", range(7))
def test_no_two_rollouts_have_the_same_place_and_their_order_stays(length: int) -> None:
    for written in itertools.product("ab", repeat=length):
        rows = RepeatedRows(manifest_of(list(written), num_repeats=2))
        places = [rows.place(row, repeat) for row in range(length) for repeat in range(2)]
        assert places == sorted(set(places))
        assert len({task for task, _ in places}) == rows.num_tasks
