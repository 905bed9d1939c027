"""The check of token data on rollout rows: what holds together passes, and whatever doesn't is named at its place."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.collections.token_data.check import find_violation

Item = dict[str, Any]
TOOL_RESULT = {"type": "function_call_output", "call_id": "c", "output": "cold"}
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}


def carrier(prompt: Any, generated: Any, log_probs: Any = None) -> Item:
    """A model's item with the token data of its call."""
    probs = [-0.5] * len(generated) if log_probs is None else log_probs
    return {
        **CALL,
        "prompt_token_ids": prompt,
        "generation_token_ids": generated,
        "generation_log_probs": probs,
    }


def row(*output: Any, **more: Any) -> bytes:
    return orjson.dumps({"reward": 1.0, "response": {"output": output}, **more})


def reason(*output: Any, required: bool = False) -> str:
    violation = find_violation(row(*output), required=required)
    assert violation is not None
    return violation.reason


def rollout(calls: list[tuple[list[int], list[int]]]) -> list[Item]:
    """Items of calls, each given as the ids that are new in its prompt and those it generates."""
    items: list[Item] = []
    sequence: list[int] = []
    for new, generated in calls:
        sequence = sequence + new
        items += [carrier(sequence, generated), TOOL_RESULT]
        sequence = sequence + generated
    return items


IDS = st.lists(st.integers(0, 200_000), max_size=60)
SOME_IDS = st.lists(st.integers(0, 200_000), min_size=1, max_size=60)
CALLS = st.tuples(SOME_IDS, SOME_IDS, st.lists(st.tuples(IDS, SOME_IDS), max_size=5)).map(
    lambda parts: [(parts[0], parts[1]), *parts[2]]
)


@given(CALLS)
def test_a_sequence_split_into_calls_anywhere_passes(calls: list[tuple[list[int], list[int]]]) -> None:
    assert find_violation(row(*rollout(calls)), required=True) is None


@given(CALLS.filter(lambda calls: len(calls) > 1), st.data())
def test_one_changed_id_is_found_at_exactly_its_position(
    calls: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    items = rollout(calls)
    call = data.draw(st.integers(1, len(calls) - 1))
    before, prompt = items[2 * call - 2], items[2 * call]["prompt_token_ids"]
    expected = before["prompt_token_ids"] + before["generation_token_ids"]
    position = data.draw(st.integers(0, len(expected) - 1))
    prompt[position] = data.draw(st.integers(0, 200_000).filter(lambda token: token != expected[position]))
    violation = find_violation(row(*items))
    assert violation is not None
    found = violation.mismatch
    assert found is not None
    assert (found.earlier_call, found.call, found.position) == (call, call + 1, position)
    assert found.shared == tuple(expected[max(0, position - 8) : position])
    assert found.earlier == tuple(expected[position : position + 8])
    assert found.later == tuple(prompt[position : position + 8])


@given(CALLS.filter(lambda calls: len(calls) > 1), st.data())
def test_a_prompt_that_ends_too_early_is_found_where_it_ends(
    calls: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    items = rollout(calls)
    before, last = items[-4], items[-2]
    size = len(before["prompt_token_ids"]) + len(before["generation_token_ids"])
    kept = data.draw(st.integers(1, size - 1))
    last["prompt_token_ids"] = last["prompt_token_ids"][:kept]
    violation = find_violation(row(*items))
    assert violation is not None
    assert violation.mismatch is not None
    assert (violation.mismatch.position, violation.mismatch.later) == (kept, ())
    assert violation.reason.endswith(">end<")


def test_a_longer_number_is_no_continuation_of_a_shorter_one() -> None:
    assert "position 1 (id 0 that call 1 generated; counted from 0) differs" in reason(
        carrier([1], [2]), carrier([1, 23], [4])
    )


def test_the_reason_names_calls_lengths_position_and_the_ids_around_it_on_both_sides() -> None:
    prompt, generated = list(range(100, 130)), list(range(500, 520))
    later = prompt + generated[:4] + [999] + generated[5:] + [1]
    assert reason(carrier(prompt, generated), TOOL_RESULT, carrier(later, [7])) == (
        "model call 2: prompt_token_ids don't begin with the 30 prompt and 20 generated ids of call 1: "
        "position 34 (id 4 that call 1 generated; counted from 0) differs. "
        "From position 26 on call 1 has 126, 127, 128, 129, 500, 501, 502, 503, "
        ">504<, 505, 506, 507, 508, 509, 510, 511; "
        "call 2 has 126, 127, 128, 129, 500, 501, 502, 503, >999<, 505, 506, 507, 508, 509, 510, 511"
    )


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (carrier([], [2]), "prompt_token_ids is empty"),
        (carrier([1], []), "generation_token_ids is empty"),
        (carrier({"1": 2}, [3]), "prompt_token_ids isn't a list of integers from 0 on: it is {'1': 2}"),
        (carrier("1,2", [3]), "it is '1,2'"),
        (carrier([[1]], [3]), "position 0 is [1]"),
        (carrier([1], [2], "x"), "generation_log_probs isn't a list of finite numbers"),
        ({**CALL, "prompt_token_ids": [1]}, "has prompt_token_ids, but no generation_token_ids"),
        ({**CALL, "generation_log_probs": [-1.0]}, "but no prompt_token_ids, generation_token_ids"),
    ],
)
def test_token_data_of_the_wrong_shape_is_named(item: Item, expected: str) -> None:
    assert reason(item).startswith("model call 1: ")
    assert expected in reason(item)


@pytest.mark.parametrize("size", [0, 300], ids=["short", "long"])  # long arrays are taken out of the text first
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("prompt_token_ids", -2, "position {} is -2"),
        ("prompt_token_ids", None, "position {} is None"),
        ("generation_token_ids", 2.0, "position {} is 2.0"),
        ("generation_token_ids", True, "position {} is True"),
        ("generation_log_probs", 0.25, "position {} is 0.25, not a finite number up to 0"),
        ("generation_log_probs", None, "Expected `float`, got `null` - at `$[{}]`"),
    ],
)
def test_a_wrong_value_is_named_with_its_position(name: str, value: Any, expected: str, size: int) -> None:
    item = carrier([1] * size + [5], [2] * size + [6], [-1.0] * size + [-0.5])
    assert find_violation(row(item)) is None
    item[name][size] = value
    assert expected.format(size) in reason(item)


def test_too_few_log_probs_are_counted() -> None:
    assert reason(carrier([1], [2, 3], [-1.0])) == "model call 1: 1 generation_log_probs for 2 generation_token_ids"


def test_a_later_call_is_looked_at_where_it_goes_on() -> None:
    assert "model call 2: prompt_token_ids isn't a list" in reason(
        carrier([1], [2]), TOOL_RESULT, carrier([1, 2, -3], [4])
    )


def test_log_probs_of_exactly_zero_and_minus_zero_are_right() -> None:
    assert find_violation(row(carrier([1], [2, 3, 4], [0.0, -0.0, -9999.0]))) is None


def test_arrays_with_white_space_are_read_as_well() -> None:
    first = b'{"prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-1]}'
    second = b'{"prompt_token_ids": [1,2,  3,4], "generation_token_ids": [ 5 ], "generation_log_probs": [-1]}'
    line = b'{"response": {"output": [%b, %b]}}'
    assert find_violation(line % (first, second), required=True) is None
    violation = find_violation(line % (second, first))
    assert violation is not None
    assert violation.mismatch is not None
    assert violation.mismatch.position == 2


def test_only_the_last_item_of_a_call_has_its_token_data() -> None:
    thought, message = {"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "content": []}
    output = [thought, message, carrier([1], [2]), TOOL_RESULT, thought, carrier([1, 2, 3], [4])]
    assert find_violation(row(*output), required=True) is None
    assert "model call 2: " in reason(*output[:-1], carrier([9], [4]))


def test_items_of_one_call_may_repeat_its_token_data() -> None:
    repeated = carrier([1], [2])
    assert find_violation(row(repeated, repeated, TOOL_RESULT, carrier([1, 2], [3])), required=True) is None
    assert "model call 2: " in reason(repeated, TOOL_RESULT, repeated)


@pytest.mark.parametrize("between", [TOOL_RESULT, {"role": "user", "content": "and?"}], ids=["tool", "user"])
def test_a_call_without_token_data_is_wrong_only_where_token_data_is_required(between: Item) -> None:
    output = [carrier([1], [2]), between, CALL, between, carrier([1, 2, 3], [4])]
    assert find_violation(row(*output)) is None
    assert reason(*output, required=True) == "model call 2: no token data"
    output[-1] = carrier([1, 9, 3], [4])
    assert "generated ids of call 1: position 1" in reason(*output)


def test_log_probs_may_be_missing_unless_token_data_is_required() -> None:
    without = {key: value for key, value in carrier([1], [2]).items() if key != "generation_log_probs"}
    for item in (without, {**without, "generation_log_probs": None}):
        assert find_violation(row(item)) is None
        assert "but no generation_log_probs" in reason(item, required=True)


@pytest.mark.parametrize(
    "line",
    [
        row(),
        row(CALL, TOOL_RESULT),
        row("x", 3, None),
        row(response=None),
        row(response={"output": "x"}),
        orjson.dumps({"reward": 1.0}),
        row({**TOOL_RESULT, "output": orjson.dumps(carrier([1], [])).decode()}),
        row({"role": "user", "content": "x", "prompt_token_ids": []}),
    ],
    ids=["no-item", "no-token-data", "no-objects", "null", "no-list", "no-response", "in-a-text", "not-the-model's"],
)
def test_a_rollout_without_token_data_is_wrong_only_where_it_is_required(line: bytes) -> None:
    assert find_violation(line) is None
    violation = find_violation(line, required=True)
    assert violation is not None
    assert violation.reason == "no model call has token data"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)
KEYS = ["type", "role", "prompt_token_ids", "generation_token_ids", "generation_log_probs"]


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON_VALUES) | JSON_VALUES, max_size=4), st.booleans())
def test_whatever_the_items_hold_there_is_an_answer(output: list[Any], required: bool) -> None:
    violation = find_violation(row(*output), required=required)
    assert violation is None or violation.reason
