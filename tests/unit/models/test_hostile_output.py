"""Whatever an engine answers, it becomes a sound Response or one typed error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from nemo_gym.models.chat import ModelOutputError, to_completion, to_response

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def completion(message=None, **choice):
    message = {"role": "assistant", "content": "yes"} if message is None else message
    return {"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, "message": message, **choice}]}


def calls_of(*calls):
    response = to_response(completion({"content": None, "tool_calls": list(calls)}))
    Response.model_validate(response, strict=True)
    return [(item["call_id"], item["arguments"]) for item in response["output"] if item["type"] == "function_call"]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        pytest.param(
            {"name": "f", "arguments": {"city": "Zürich", "n": [1]}}, '{"city": "Zürich", "n": [1]}', id="object"
        ),
        pytest.param({"name": "f", "arguments": None}, "{}", id="null"),
        pytest.param({"name": "f"}, "{}", id="absent"),
        pytest.param({"name": "f", "arguments": 3}, "3", id="number"),
        pytest.param({"name": "f", "arguments": ""}, "", id="empty-text-as-the-model-wrote-it"),
        pytest.param({"name": "", "arguments": "{}"}, "{}", id="empty-name-for-the-agent-to-refuse"),
    ],
)
def test_arguments_in_an_engines_own_form_become_text(call, arguments):
    assert calls_of({"id": "c", "function": call}) == [("c", arguments)]


def test_calls_without_ids_or_with_the_same_id_can_be_told_apart():
    given = [{**CALL, "id": call_id} for call_id in (None, "", "c", "c", 5)]
    ids = [call_id for call_id, _ in calls_of(*given)]
    assert ids == ["call_c_0", "call_c_1", "c", "call_c_3", "call_c_4"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(completion({"content": None}), "", id="null-content"),
        pytest.param(completion({"content": [{"type": "text", "text": "a"}, "b"]}), "ab", id="content-as-parts"),
        pytest.param(completion({"content": "a", "tool_calls": None, "annotations": None}), "a", id="nulls"),
        pytest.param({**completion(), "usage": None, "created": "x", "model": None, "id": 4}, "yes", id="no-envelope"),
        pytest.param({**completion(), "usage": {"prompt_tokens": "many"}}, "yes", id="usage-in-words"),
        pytest.param(
            {**completion(), "output": "x", "status": 1, "temperature": "hot"}, "yes", id="fields-of-a-response"
        ),
        pytest.param(completion({"content": "a", "type": "x", "id": 1, "status": {}}), "a", id="fields-of-an-item"),
    ],
)
def test_an_incomplete_answer_becomes_a_sound_response(answer, text):
    response = to_response(answer)
    parsed = Response.model_validate(response, strict=True)
    assert parsed.output_text == text
    assert parsed.usage is None


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        pytest.param(None, "completion", id="nothing"),
        pytest.param([], "completion", id="list"),
        pytest.param({}, "choices", id="no-choices"),
        pytest.param({"choices": []}, "choices", id="empty-choices"),
        pytest.param({"error": {"message": "overloaded"}}, "choices", id="error-with-status-200"),
        pytest.param({**completion(), "error": {"message": "late"}}, "error", id="error-beside-an-answer"),
        pytest.param({"choices": completion()["choices"] * 2}, "choices", id="two-choices"),
        pytest.param({"choices": [None]}, "choices[0].message", id="null-choice"),
        pytest.param(completion("yes"), "choices[0].message", id="message-is-text"),
        pytest.param(completion(finish_reason="abort"), "choices[0].finish_reason", id="aborted"),
        pytest.param(completion(finish_reason={"type": "stop"}), "choices[0].finish_reason", id="reason-is-an-object"),
        pytest.param(completion({"content": 5}), "choices[0].message.content", id="content-is-a-number"),
        pytest.param(completion({"content": [{"type": "image_url"}]}), "choices[0].message.content[0]", id="image"),
        pytest.param(completion({"content": "", "audio": {"id": "a"}}), "choices[0].message.audio", id="audio"),
        pytest.param(
            completion({"reasoning": {"text": "x"}}), "choices[0].message.reasoning", id="reasoning-is-an-object"
        ),
        pytest.param(completion({"refusal": 1}), "choices[0].message.refusal", id="refusal"),
        pytest.param(
            completion({"tool_calls": {"0": CALL}}), "choices[0].message.tool_calls", id="calls-are-an-object"
        ),
        pytest.param(completion({"tool_calls": [None]}), "choices[0].message.tool_calls[0]", id="null-call"),
        pytest.param(
            completion({"tool_calls": [{"type": "mcp"}]}), "choices[0].message.tool_calls[0]", id="unknown-call"
        ),
        pytest.param(
            completion({"tool_calls": [{"function": {"name": None, "arguments": "{}"}}]}),
            "choices[0].message.tool_calls[0].function.name",
            id="null-name",
        ),
        pytest.param(completion({"annotations": ["x"]}), "choices[0].message.annotations[0]", id="annotation-is-text"),
        pytest.param(
            completion(logprobs={"content": [{"token": "a"}]}), "choices[0].logprobs.content", id="no-logprob"
        ),
        pytest.param(
            completion(logprobs={"content": [{"token": "a", "logprob": 0, "bytes": 10**12}]}),
            "choices[0].logprobs.content",
            id="bytes-are-a-number",
        ),
    ],
)
def test_an_answer_that_makes_no_sense_is_bad_output_with_its_path(answer, path):
    with pytest.raises(ModelOutputError) as caught:
        to_response(answer)
    assert caught.value.path == path
    assert (caught.value.failure.kind, caught.value.failure.status) == ("model_bad_output", 502)
    assert len(str(caught.value)) < 1000


def test_arguments_nested_too_deeply_for_json_are_bad_output():
    nested = {}
    for _ in range(20_000):
        nested = {"a": nested}
    with pytest.raises(ModelOutputError, match="arguments"):
        calls_of({"function": {"name": "f", "arguments": nested}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("function"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "type", "text"]), inner, max_size=2)
    ),
    max_leaves=4,
)
MESSAGE_KEYS = [
    "content",
    "reasoning",
    "refusal",
    "tool_calls",
    "function_call",
    "annotations",
    "generation_token_ids",
    "id",
]
MESSAGES = st.dictionaries(st.sampled_from(MESSAGE_KEYS), JSON, max_size=4)
CALL_LISTS = st.lists(st.fixed_dictionaries({"function": JSON | st.just(CALL["function"]), "id": JSON}), max_size=2)
ANSWERS = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {
                    "message": MESSAGES | st.builds(lambda calls: {"tool_calls": calls}, CALL_LISTS),
                    "finish_reason": JSON,
                    "logprobs": JSON,
                }
            ),
            min_size=1,
            max_size=1,
        ),
        "id": JSON,
        "created": JSON,
        "usage": JSON,
    }
)


@settings(max_examples=150)
@given(ANSWERS)
def test_any_answer_at_all_is_a_sound_response_or_one_typed_error(answer):
    try:
        response = to_response(answer)
    except ModelOutputError:
        return
    Response.model_validate(response, strict=True)
    json.dumps(to_completion(response))
