"""Times of calls beside a verdict that nobody parses."""

import contextlib

import orjson
import pytest

from nemo_gym.wire.call_times import CallTimes, TimedCall


def timed() -> CallTimes:
    times = CallTimes()
    with times.timed("model"):
        pass
    with contextlib.suppress(ValueError), times.timed("tool", "call_1"):
        raise ValueError
    return times


@pytest.mark.parametrize("answer", [b'{"reward": 1.0}', b"{}", b' {"a": {"b": []} } \n'], ids=str)
def test_calls_stand_beside_what_an_answer_says_also_those_that_raised(answer: bytes) -> None:
    read = orjson.loads(timed().added_to(answer))
    calls = [TimedCall.model_validate(call) for call in read.pop("_ng_calls")]
    assert read == orjson.loads(answer)
    assert [(call.kind, call.call_id) for call in calls] == [("model", None), ("tool", "call_1")]


@pytest.mark.parametrize("answer", [b"", b"null", b"[1]", b"{", b'"}"'], ids=str)
def test_an_answer_that_is_no_object_stays_as_it_is(answer: bytes) -> None:
    assert timed().added_to(answer) == answer
