"""Equal rows of a prepared set on every page: what it says of them is what it says of one row's repeats."""

from pathlib import Path

import orjson
import pytest

from benchmarks.measuring.made_rows import placed
from nemo_gym.analysis import comparison
from nemo_gym.analysis.task_profile import ProfileSettings, profile_tasks
from nemo_gym.collections.reading.finished import open_collection
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.identity import identity_of
from nemo_gym.viewer.collection.table_cache import cache_path
from nemo_gym.viewer.library import Library
from nemo_gym.viewer.pages.compare import compare
from nemo_gym.viewer.pages.overview import overview_of
from nemo_gym.viewer.pages.query import parse_query
from nemo_gym.viewer.pages.selection import select
from nemo_gym.viewer.pages.task import TaskPage, task_page, task_table
from nemo_gym.viewer.rollout.page import rollout_page
from nemo_gym.viewer.serving.answers import Answers
from tests.made_collections import with_equal_rows, write_collection

COPIES = 4
HOW = {"tasks": 12, "repeats": 8}


def followed(path: Path) -> Follower:
    follower = Follower(path)
    follower.catch_up()
    return follower


@pytest.fixture(scope="module")
def one_row(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    """Each task is a row with eight repeats."""
    return followed(write_collection(tmp_path_factory.mktemp("one") / "rollouts.jsonl", **HOW).rollouts)


@pytest.fixture(scope="module")
def equal_rows(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    """The same rollouts: each task is four equal rows with two repeats."""
    paths = write_collection(tmp_path_factory.mktemp("equal") / "rollouts.jsonl", **HOW)
    return followed(with_equal_rows(paths, COPIES).rollouts)


def page_of(follower: Follower, row: int) -> TaskPage:
    page = task_page(follower, row)
    assert page is not None
    return page


def test_the_overview_is_that_of_the_same_rollouts_of_one_row_each(one_row: Follower, equal_rows: Follower) -> None:
    expected, found = overview_of(one_row), overview_of(equal_rows)
    assert found.pass_at_k == expected.pass_at_k
    assert max(map(int, found.pass_at_k)) > COPIES
    assert (found.tasks, found.standard_error) == (expected.tasks, pytest.approx(expected.standard_error))
    for name in ("tasks", "repeats", "expected"):
        assert getattr(found.identity, name) == getattr(expected.identity, name)


def test_the_tasks_are_those_of_a_profile(equal_rows: Follower) -> None:
    table = task_table(equal_rows, list(equal_rows.table.current()), "", 0, 500, descending=False)
    profiles = list(profile_tasks(open_collection(equal_rows.paths.rollouts), ProfileSettings()))
    assert [(line.task, line.scored, line.masked, line.failed, line.solved) for line in table.tasks] == [
        (task.task_index, task.n, task.masked, task.failed, task.solved) for task in profiles
    ]
    assert [line.task for line in table.tasks] == list(range(0, 12 * COPIES, COPIES))
    assert all("Book" in line.prompt for line in table.tasks)


@pytest.mark.parametrize("row", range(4, 8))
def test_the_page_of_any_of_the_rows_has_the_whole_group(equal_rows: Follower, row: int) -> None:
    page = page_of(equal_rows, row)
    assert (page.task, page.rows, page.before, page.after) == (4, COPIES, 0, 8)
    assert [member.rollout.repeat for member in page.group] == list(range(8))
    assert [member.rollout.key for member in page.group] == [f"{4 + n // 2}-{n % 2}" for n in range(8)]
    assert {member.rollout.task for member in page.group} == {4}
    assert page.line.rollouts == 8


def test_a_task_that_is_no_row_has_no_page(equal_rows: Follower) -> None:
    assert task_page(equal_rows, -1) is None
    assert task_page(equal_rows, 12 * COPIES) is None


def test_a_rollout_keeps_its_link_and_names_its_group(equal_rows: Follower) -> None:
    answers = Answers(Library(equal_rows.paths.rollouts))
    page = answers.rollout("rollouts.jsonl", "6-1")
    assert (page.key, page.task, page.repeat) == ("6-1", 4, 5)
    number = equal_rows.table.find(6, 1)
    assert number is not None
    row = equal_rows.table[number]
    assert rollout_page(equal_rows, row).attempts == page.attempts != []


@pytest.mark.parametrize(
    ("query", "rows", "repeats"),
    [
        ("task=4", range(4, 8), range(8)),
        ("task=6", range(4, 8), range(8)),
        ("task=6 repeat=5", [6], [5]),
        ("task>=4 task<8", range(4, 8), range(8)),
        ("task!=5 task<8", range(4), range(8)),
        ("task=6.5", [], []),
    ],
)
def test_filters_are_of_tasks(equal_rows: Follower, query: str, rows: list[int], repeats: list[int]) -> None:
    found = [equal_rows.table[number] for number in select(equal_rows, parse_query(query), {}).numbers]
    assert sorted({row.place[0] for row in found}) == list(rows)
    assert sorted({row.repeat for row in found}) == list(repeats)


def test_a_collection_that_is_begun_later_or_kept_in_a_cache_knows_its_rows(
    equal_rows: Follower, tmp_path: Path
) -> None:
    later, manifest = followed(tmp_path / "rollouts.jsonl"), equal_rows.paths.manifest
    later.catch_up()
    (tmp_path / manifest.name).write_bytes(manifest.read_bytes())
    later.catch_up()
    assert identity_of(later).tasks == 12
    for path in equal_rows.paths.all():
        if path.exists():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    large = placed({"reward": 1.0, "text": "x" * 2**24}, 99, 0)
    with later.paths.rollouts.open("ab") as file:
        file.write(orjson.dumps(large) + b"\n")
    later.catch_up()
    assert cache_path(later.paths.rollouts).exists()
    for follower in (later, followed(tmp_path / "rollouts.jsonl")):
        assert page_of(follower, 5).line == page_of(equal_rows, 5).line


def test_tasks_of_equal_rows_are_compared_with_those_of_one_row_each(one_row: Follower, equal_rows: Follower) -> None:
    page = compare(one_row, equal_rows)
    assert page.tasks_known
    assert (page.compared, page.only_a, page.only_b, page.difference) == (12, 0, 0, 0.0)
    assert all(task.task_b == COPIES * task.task and task.n_a == task.n_b for task in page.tasks)
    readers = [open_collection(follower.paths.rollouts) for follower in (one_row, equal_rows)]
    told = comparison.compare(readers[0], readers[1], ProfileSettings(), comparison.BootstrapSettings())
    assert (told.paired, told.tasks_known) == (12, True)


def test_collections_without_their_rows_are_compared_by_index(one_row: Follower, tmp_path: Path) -> None:
    paths = write_collection(tmp_path / "rollouts.jsonl", **HOW)
    paths.materialized_inputs.unlink()
    page = compare(one_row, followed(paths.rollouts))
    assert (page.compared, page.tasks_known) == (12, False)


def test_tasks_that_ask_something_else_are_in_one_collection_only(one_row: Follower, tmp_path: Path) -> None:
    paths = write_collection(tmp_path / "rollouts.jsonl", **HOW)
    lines = paths.materialized_inputs.read_bytes().splitlines()
    lines[3] = orjson.dumps({**orjson.loads(lines[3]), "difficulty": 9})
    paths.materialized_inputs.write_bytes(b"\n".join(lines) + b"\n")
    page = compare(one_row, followed(paths.rollouts))
    assert (page.compared, page.only_a, page.only_b) == (11, 1, 1)
