"""Our classes of the OpenAI APIs declare the fields of openai 2.6.1, and no field the package doesn't have.

`openai_2_6_1_fields.json` is made by the command in `openai_fields.py`.
"""

import json
from pathlib import Path

import pytest

import nemo_gym.openai_utils as face
from tests.unit.wire.openai_fields import OBJECTS, fields_of, installed_fields

FIELDS_2_6_1: dict[str, dict[str, bool]] = json.loads(Path(__file__).with_name("openai_2_6_1_fields.json").read_text())

# Classes of ours that stand for no single object of the package.
WITHOUT_COUNTERPART = {
    "NeMoGymResponseItem": "any item kind without a class of its own",
    "NeMoGymResponseContentPart": "any content part without a class of its own",
    "TokenIDLogProbMixin": "token data, which only our engines give",
    "NeMoGymAsyncOpenAI": "a client",
}
NOT_DECLARED = {
    "stream": "answers come in one piece: refused when true, left out otherwise",
    "stream_options": "as `stream`",
}
REQUIRED_BY_US = {
    ("NeMoGymResponseCreateParamsNonStreaming", "input"): "a task without a prompt can't be rolled out",
    ("NeMoGymFunctionCallOutput", "call_id"): "newer versions let a result name its function instead; 2.6.1 doesn't",
}
_TAG = "says what the object is, which its place says too"
_ENGINES = "engines leave it out"
OPTIONAL_FOR_US = {
    **{(name, "type"): _TAG for name in OBJECTS},
    **{(name, "object"): _TAG for name in ("NeMoGymResponse", "NeMoGymChatCompletion")},
    **{(name, "role"): _TAG for name in ("NeMoGymResponseOutputMessage", "NeMoGymChatCompletionMessage")},
    **{
        ("NeMoGymResponse", name): "has a published default" for name in ("parallel_tool_calls", "tool_choice", "tools")
    },
    **{("NeMoGymResponseOutputMessage", name): _ENGINES for name in ("id", "status")},
    **{("NeMoGymResponseUsage", f"{name}_tokens_details"): _ENGINES for name in ("input", "output")},
    **{("NeMoGymChoice", name): _ENGINES for name in ("finish_reason", "index")},
    ("NeMoGymResponseError", "code"): _ENGINES,
    ("NeMoGymResponseInputTokensDetails", "cached_tokens"): _ENGINES,
    ("NeMoGymResponseOutputTokensDetails", "reasoning_tokens"): _ENGINES,
    ("NeMoGymResponseOutputText", "annotations"): _ENGINES,
    ("NeMoGymCompletionUsage", "completion_tokens"): _ENGINES,
    ("NeMoGymChatCompletionCreateParamsNonStreaming", "model"): "a model server serves one model and knows its name",
}

INSTALLED = installed_fields()
every_object = pytest.mark.parametrize("name", OBJECTS)


def declared(name: str) -> dict[str, bool]:
    return fields_of(getattr(face, name))


def is_object(name: str) -> bool:
    is_class = isinstance(getattr(face, name), type)
    return is_class and name.startswith(("NeMoGym", "TokenID")) and "ForTraining" not in name


def test_every_public_class_is_compared_or_has_a_reason_not_to_be() -> None:
    assert {name for name in face.__all__ if is_object(name)} == {*OBJECTS, *WITHOUT_COUNTERPART}


@every_object
def test_a_class_declares_no_field_that_openai_2_6_1_lacks(name: str) -> None:
    newer = declared(name).keys() - FIELDS_2_6_1[name].keys()
    assert newer == set(), "newer fields travel as extras"


@every_object
def test_a_class_declares_no_field_that_the_installed_openai_lacks(name: str) -> None:
    assert declared(name).keys() - INSTALLED[name].keys() == set()


@every_object
def test_a_class_declares_every_field_of_openai_2_6_1_or_has_a_reason_not_to(name: str) -> None:
    missing = FIELDS_2_6_1[name].keys() - declared(name).keys()
    assert missing <= NOT_DECLARED.keys()


@every_object
@pytest.mark.parametrize("package", [FIELDS_2_6_1, INSTALLED], ids=["2.6.1", "installed"])
def test_a_class_requires_nothing_that_openai_does_not(name: str, package: dict[str, dict[str, bool]]) -> None:
    stricter = {field for field, required in declared(name).items() if required and not package[name][field]}
    assert {(name, field) for field in stricter} <= REQUIRED_BY_US.keys()


@every_object
def test_a_class_requires_what_openai_2_6_1_requires_or_has_a_reason_not_to(name: str) -> None:
    ours = declared(name)
    laxer = {field for field, required in FIELDS_2_6_1[name].items() if required and not ours.get(field, True)}
    assert {(name, field) for field in laxer} <= OPTIONAL_FOR_US.keys()
