"""Token data travels by reference: checked, not copied."""

import json

import pytest

from nemo_gym import openai_utils as types

NUM_TOKENS = 65_536


@pytest.fixture
def response():
    ids = list(range(NUM_TOKENS))
    item = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "x", "annotations": []}],
        "prompt_token_ids": ids,
        "generation_token_ids": ids[:],
        "generation_log_probs": [-0.25] * NUM_TOKENS,
    }
    return {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [item]}


@pytest.mark.parametrize("key", ["prompt_token_ids", "generation_token_ids", "generation_log_probs"])
def test_the_list_object_survives_validation_and_dump(response, key):
    validated = types.NeMoGymResponse.model_validate(response)
    assert getattr(validated.output[0], key) is response["output"][0][key]
    assert validated.model_dump(exclude_unset=True)["output"][0][key] is response["output"][0][key]


def test_json_has_the_same_numbers(response):
    validated = types.NeMoGymResponse.model_validate(response)
    assert json.loads(validated.model_dump_json(exclude_unset=True)) == response
    assert validated.model_dump(mode="json", exclude_unset=True) == response


def test_log_probabilities_the_engine_did_not_give_are_left_out_of_dumps(response):
    del response["output"][0]["generation_log_probs"]
    validated = types.NeMoGymResponse.model_validate(response)
    assert validated.output[0].generation_log_probs is None
    assert "generation_log_probs" not in validated.model_dump()["output"][0]


def test_only_half_of_the_ids_stay_as_extras_of_the_plain_item(response):
    del response["output"][0]["prompt_token_ids"]
    validated = types.NeMoGymResponse.model_validate(response)
    assert type(validated.output[0]) is types.NeMoGymResponseOutputMessage
    assert validated.model_dump(exclude_unset=True) == response


def test_each_variant_is_its_class_with_token_data():
    for plain, variant in types.RESPONSES_TO_TRAIN.items():
        assert issubclass(variant, plain)
        assert issubclass(variant, types.TokenIDLogProbMixin)


def test_the_schema_says_what_the_lists_hold():
    properties = types.TokenIDLogProbMixin.model_json_schema()["properties"]
    assert properties["generation_token_ids"]["items"] == {"type": "integer"}
