"""Items of `input` and `output`: every published kind goes through unchanged, into the class its keys ask for."""

import typing

import pytest
from openai.types.responses import ResponseInputItem, ResponseOutputItem
from pydantic import TypeAdapter, ValidationError

from nemo_gym import openai_utils as types

ITEM = TypeAdapter(types.NeMoGymResponseOutputItem)
TOKENS = {"prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.5]}

OUTPUT_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "phase": "final_answer",
    "content": [
        {"type": "output_text", "text": "cold", "annotations": [{"type": "url_citation", "url": "u", "title": "t"}]},
        {"type": "refusal", "refusal": "no"},
    ],
}
FUNCTION_CALL = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c", "id": "fc", "async": False}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "s"}],
    "content": [{"type": "reasoning_text", "text": "r"}],
    "encrypted_content": None,
}

KINDS = [
    pytest.param({"role": "user", "content": "hi"}, types.NeMoGymEasyInputMessage, id="short-text"),
    pytest.param(
        {"type": "message", "role": "assistant", "content": "hi", "name": "x"},
        types.NeMoGymEasyInputMessage,
        id="assistant-text",
    ),
    pytest.param(
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        types.NeMoGymEasyInputMessage,
        id="short-parts",
    ),
    pytest.param(
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "u", "detail": "auto"},
                {"type": "input_file", "file_id": "f"},
            ],
        },
        types.NeMoGymMessage,
        id="message-of-parts",
    ),
    pytest.param(OUTPUT_MESSAGE, types.NeMoGymResponseOutputMessage, id="output-message"),
    pytest.param(
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
        types.NeMoGymResponseOutputMessage,
        id="output-message-without-id",
    ),
    pytest.param(FUNCTION_CALL, types.NeMoGymResponseFunctionToolCall, id="function-call"),
    pytest.param(
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        types.NeMoGymFunctionCallOutput,
        id="function-result",
    ),
    pytest.param(
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "42"}]},
        types.NeMoGymFunctionCallOutput,
        id="function-result-of-parts",
    ),
    pytest.param(REASONING, types.NeMoGymResponseReasoningItem, id="reasoning"),
    pytest.param({"id": "msg_1"}, types.NeMoGymResponseItem, id="reference-without-type"),
    pytest.param({"type": "from_the_future", "x": {"y": [1]}}, types.NeMoGymResponseItem, id="unknown"),
    pytest.param({**OUTPUT_MESSAGE, **TOKENS}, types.NeMoGymResponseOutputMessageForTraining, id="output-tokens"),
    pytest.param({**FUNCTION_CALL, **TOKENS}, types.NeMoGymResponseFunctionToolCallForTraining, id="call-tokens"),
    pytest.param({**REASONING, **TOKENS}, types.NeMoGymResponseReasoningItemForTraining, id="reasoning-tokens"),
    pytest.param(
        {"role": "assistant", "content": "x", **TOKENS}, types.NeMoGymEasyInputMessageForTraining, id="short-tokens"
    ),
]


def published_classes() -> list[type]:
    kinds = {}
    for union in (ResponseOutputItem, ResponseInputItem):
        members = typing.get_args(typing.get_args(union)[0])
        kinds.update({f"{cls.__module__}.{cls.__name__}": cls for cls in members})
    return list(kinds.values())


def example_of(annotation: object) -> object:
    """Make a value that fits a type of the openai package; of a union the first that is not None."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return example_of(args[0])
    if origin is typing.Literal:
        return args[0]
    if origin is list:
        return [example_of(args[0])]
    if origin is dict:
        return {"key": example_of(args[1])}
    if args:
        return example_of(next(arg for arg in args if arg is not type(None)))
    if hasattr(annotation, "model_fields"):
        return {field.alias or name: example_of(field.annotation) for name, field in annotation.model_fields.items()}
    return {str: "text", int: 1, float: 0.5, bool: True}.get(annotation, {"any": "thing"})


@pytest.mark.parametrize(("item", "cls"), KINDS)
def test_an_item_becomes_its_class_and_dumps_unchanged(item, cls):
    validated = ITEM.validate_python(item)
    assert type(validated) is cls
    assert validated.model_dump(exclude_unset=True) == item
    assert ITEM.dump_python(validated, mode="json", exclude_unset=True) == item


@pytest.mark.parametrize("cls", [pytest.param(cls, id=cls.__name__) for cls in published_classes()])
def test_every_published_item_goes_through_unchanged(cls):
    example = example_of(cls)
    assert cls.model_validate(example), "the example is one of the published kind"
    assert ITEM.dump_python(ITEM.validate_python(example), mode="json", exclude_unset=True) == example


@pytest.mark.parametrize("cls", [pytest.param(cls, id=cls.__name__) for cls in published_classes()])
def test_every_published_item_goes_through_with_only_its_required_fields(cls):
    fields = {k: f for k, f in cls.model_fields.items() if f.is_required() or k in ("type", "name")}
    example = {field.alias or name: example_of(field.annotation) for name, field in fields.items()}
    assert ITEM.dump_python(ITEM.validate_python(example), exclude_unset=True) == example


def test_an_unknown_item_has_its_fields_as_attributes():
    assert ITEM.validate_python({"type": "from_the_future", "x": {"y": 1}}).x == {"y": 1}


def test_an_instance_passes_as_the_same_object():
    call = types.NeMoGymResponseFunctionToolCallForTraining(**FUNCTION_CALL, **TOKENS)
    params = types.NeMoGymResponseCreateParamsNonStreaming(input=[call])
    assert params.input[0] is call


def test_an_item_of_a_subclass_is_written_with_its_own_fields():
    class Timed(types.NeMoGymResponseFunctionToolCall):
        elapsed_s: float

    params = types.NeMoGymResponseCreateParamsNonStreaming(input=[Timed(**FUNCTION_CALL, elapsed_s=1.5)])
    assert params.model_dump(exclude_unset=True)["input"] == [{**FUNCTION_CALL, "elapsed_s": 1.5}]


def test_an_item_built_in_python_keeps_its_default_type_when_dumped():
    item = types.NeMoGymFunctionCallOutput(call_id="c", output="42")
    assert item.model_dump(exclude_unset=True) == {"type": "function_call_output", "call_id": "c", "output": "42"}


@pytest.mark.parametrize(
    ("item", "where", "words"),
    [
        pytest.param({"type": "function_call", "arguments": "{}", "call_id": "c"}, "name", "Field required", id="call"),
        pytest.param({"content": "hi"}, "", "message with `role`", id="no-kind"),
        pytest.param({"type": ["function_call"]}, "", "an item is an object", id="type-is-no-text"),
        pytest.param("hi", "", "an item is an object", id="no-object"),
        pytest.param({"role": "critic", "content": "x"}, "role", "'user', 'assistant'", id="role"),
        pytest.param({"role": "user", "content": [{"text": "x"}]}, "content", "object with a `type`", id="part"),
        pytest.param({"role": "user", "content": [{"type": {}}]}, "content", "object with a `type`", id="part-type"),
        pytest.param({**FUNCTION_CALL, **TOKENS, "generation_log_probs": 1}, "generation_log_probs", "list", id="ids"),
    ],
)
def test_a_malformed_item_is_refused_in_words(item, where, words):
    with pytest.raises(ValidationError, match=words) as caught:
        types.NeMoGymResponseCreateParamsNonStreaming(input=[item])
    (error,) = caught.value.errors()
    assert where in ".".join(map(str, error["loc"]))
