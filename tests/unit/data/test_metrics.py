"""The metrics of a task set, and whether they agree with recorded ones."""

from typing import Any

import pytest

from nemo_gym.data.prepare.metrics import MAX_FIELDS, TaskSetMetrics
from nemo_gym.data.prepare.metrics_conflict import differences


def metrics_of(*rows: dict[str, Any]) -> dict[str, Any]:
    metrics = TaskSetMetrics()
    for row in rows:
        metrics.add({"responses_create_params": {"input": []}, **row})
    return metrics.as_dict()


def test_words_are_those_of_the_dumped_parameters() -> None:
    assert metrics_of({})["Json-dumped number of words (proxy for token count)"]["Average"] == 2.0


def test_tools_turns_and_temperature_count_where_there_are_some() -> None:
    user = {"role": "user", "content": "hi"}
    found = metrics_of(
        {"responses_create_params": {"input": [user, {"role": "assistant", "content": "?"}, user], "tools": [{}]}},
        {"responses_create_params": {"input": "text", "temperature": 0.5}},
        {"responses_create_params": {"input": [], "tools": None}},
    )
    assert found["Number of examples"] == 3
    assert (found["Number of tools"]["Total # non-null values"], found["Number of tools"]["Max"]) == (1, 1.0)
    assert (found["Number of turns"]["Total # non-null values"], found["Number of turns"]["Average"]) == (2, 1.5)
    assert found["Temperature"]["Average"] == 0.5


def test_fields_are_counted_by_what_they_hold() -> None:
    rows = ({"answer": "a", "is_hard": True, "tags": ["x", "y"], "more": {"a": 1}}, {"answer": "a", "is_hard": False})
    found = metrics_of(*rows, {"answer": None, "tags": ["x"], "depth": [1, [2, 3]], "agent_ref": {"name": "a"}})
    assert found["answer"] == {"unique_count": 1, "total_count": 2}
    assert found["tags"] == {"unique_count": 2, "total_count": 3}
    assert (found["is_hard"]["Average"], found["depth"]["Max"]) == (0.5, 3.0)
    assert not {"more", "agent_ref", "responses_create_params"} & found.keys()


def test_two_sets_together_are_as_one_set_of_all_rows() -> None:
    rows = [{"answer": str(n % 7), "n": n, "only" + str(n % 2): n} for n in range(20)]
    first, second = TaskSetMetrics(), TaskSetMetrics()
    for number, row in enumerate(rows):
        (first if number < 8 else second).add({"responses_create_params": {"input": "?"}, **row})
    first.absorb(second)
    assert first.as_dict() == metrics_of(*({"responses_create_params": {"input": "?"}, **row} for row in rows))


def test_rows_that_make_up_names_do_not_fill_the_memory() -> None:
    found = metrics_of({f"name {n}": "x" for n in range(2 * MAX_FIELDS)})
    assert sum(1 for name in found if name.startswith("name ")) == MAX_FIELDS


@pytest.mark.parametrize(
    ("recorded", "now", "agree"),
    [
        (100.0, 100.004, True),
        (100.0, 100.006, False),
        (1.0, 1.005, True),
        (0.5, 0.5004, True),
        (0.5, 0.5006, False),
        (0.999, 1.0039, True),
        (3, 4, False),
        (True, 1, False),
        ("a", "b", False),
        ([1, 2, 2], [2, 1, 2], True),
        ([1, 2], [1, 3], False),
        ([1, 2], [1, 2, 2], False),
        ([1, 1, 2], [1, 2, 2], False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_recorded_numbers_agree_up_to_their_rounding(recorded: Any, now: Any, agree: bool) -> None:
    assert (not list(differences({"value": recorded}, {"value": now}))) is agree


def test_a_difference_names_its_field() -> None:
    recorded, now = {"answer": {"unique_count": 4}, "gone": 1}, {"answer": {"unique_count": 5}}
    assert list(differences(recorded, now)) == [
        "answer.unique_count: recorded 4, now 5",
        "gone: recorded 1, now missing",
    ]
