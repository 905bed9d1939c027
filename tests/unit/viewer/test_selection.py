"""Filters: numbers, names, tags, fields and words; and orders."""

import pytest

from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.pages.query import QueryError, parse_query
from nemo_gym.viewer.pages.selection import select
from tests.made_collections import write_collection


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    paths = write_collection(tmp_path_factory.mktemp("collection") / "rollouts.jsonl", tasks=40)
    found = Follower(paths.rollouts)
    found.catch_up()
    return found


def keys(follower: Follower, query: str, **tags: str) -> list[str]:
    by_rollout = {key.replace("_", "-").removeprefix("r"): frozenset({tag}) for key, tag in tags.items()}
    return [follower.table[number].key for number in select(follower, parse_query(query), by_rollout).numbers]


def rows(follower: Follower, query: str) -> list[object]:
    return [follower.table[number] for number in select(follower, parse_query(query), {}).numbers]


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("reward<0.5", lambda row: row.reward is not None and row.reward < 0.5),
        ("reward>=0.5 steps<=3", lambda row: row.reward is not None and row.reward >= 0.5 and row.counts["steps"] <= 3),
        ("outcome=failed", lambda row: row.outcome == "failed"),
        ("outcome!=scored", lambda row: row.outcome != "scored"),
        ("kind=tool_failure", lambda row: row.kind == "tool_failure"),
        ("task=7", lambda row: row.task == 7),
        ("rooms_booked>2", lambda row: row.numbers.get("rooms_booked", 0) > 2),
        ("reward_parts.rooms=1", lambda row: row.numbers.get("reward_parts.rooms") == 1),
        ("truncated=true", lambda row: row.truncated),
        ("", lambda row: True),
    ],
)  # fmt: skip
def test_a_condition_admits_what_meets_it_and_nothing_else(follower: Follower, query: str, holds: object) -> None:
    table = follower.table
    expected = [table[number] for number in table.current() if holds(table[number])]  # type: ignore[operator]
    assert rows(follower, query) == expected
    assert expected


def test_words_are_searched_in_whole_rollouts_without_regard_to_case(follower: Follower) -> None:
    found = keys(follower, '"ROOMS in kyoto"'.lower())
    assert found
    assert {int(key.partition("-")[0]) % 8 for key in found} == {3}
    assert keys(follower, '"no such words anywhere"') == []


def test_a_text_field_of_the_verdict_is_compared_as_text(follower: Follower) -> None:
    found = rows(follower, 'explanation="a room is missing"')
    assert found
    assert all(row.reward != 1.0 for row in found)  # type: ignore[attr-defined]


def test_tags_are_found_and_left_out(follower: Follower) -> None:
    assert keys(follower, "tag=bad task=2", r2_0="bad", r2_1="good") == ["2-0"]
    assert "2-0" not in keys(follower, "tag!=bad task=2", r2_0="bad", r2_1="good")


def test_an_order_puts_rollouts_without_a_value_last(follower: Follower) -> None:
    for descending in (False, True):
        selection = select(follower, parse_query(""), {}, "reward", descending=descending)
        rewards = [follower.table[number].reward for number in selection.numbers]
        known = [reward for reward in rewards if reward is not None]
        assert known == sorted(known, reverse=descending)
        assert rewards[len(known) :] == [None] * (len(rewards) - len(known))
        assert len(rewards) > len(known)


@pytest.mark.parametrize(
    ("query", "says"),
    [("reward<many", "'many' isn't one"), ("outcome<scored", "only = and != can be asked")],
)
def test_a_filter_that_means_nothing_is_explained(follower: Follower, query: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        select(follower, parse_query(query), {})


def test_an_unknown_order_is_refused(follower: Follower) -> None:
    with pytest.raises(QueryError, match="no column 'colour'"):
        select(follower, parse_query(""), {}, "colour")
