"""`vllm_model` in conversations with vLLM: as recorded, and with the engine itself."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from nemo_gym.openai_utils import NeMoGymResponse
from nemo_gym.servers.serving.testing import serve_in_thread
from tests.engines.engine import Engine
from tests.engines.recordings import ReplayApp, load
from tests.engines.scenarios import SCENARIOS, Answers, play, recording_proxy

END = 2  # <|im_end|>


def _replayed(name: str) -> Answers:
    app = ReplayApp([load("vllm_0_32_0")[f"vllm_model_{name}"]])
    with serve_in_thread(app) as port:
        return asyncio.run(play(SCENARIOS[name], f"http://127.0.0.1:{port}"))


def _tokens(answer: dict[str, Any]) -> dict[str, Any]:
    """The token data of a call: on the last of its items, and only there."""
    *others, last = answer["output"]
    assert not any("generation_token_ids" in item for item in others)
    found: dict[str, Any] = last
    return found


def _assert_prompts_continue(answers: Answers) -> None:
    earlier: list[int] = []
    for answer in answers:
        tokens = _tokens(answer)
        assert tokens["prompt_token_ids"][: len(earlier)] == earlier
        assert len(tokens["prompt_token_ids"]) > len(earlier)
        assert len(tokens["generation_token_ids"]) == len(tokens["generation_log_probs"])
        assert all(value <= 0 for value in tokens["generation_log_probs"])
        earlier = tokens["prompt_token_ids"] + tokens["generation_token_ids"]


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_conversation_as_recorded_gives_responses_whose_token_data_is_whole(name: str) -> None:
    for answer in _replayed(name):
        NeMoGymResponse.model_validate(answer)
        tokens = _tokens(answer)
        assert len(tokens["prompt_token_ids"]) == answer["usage"]["input_tokens"]
        assert len(tokens["generation_token_ids"]) == answer["usage"]["output_tokens"]


@pytest.mark.parametrize("name", ["weather", "cut_off", "without_limit"])
def test_prompts_as_recorded_begin_with_all_earlier_tokens(name: str) -> None:
    _assert_prompts_continue(_replayed(name))


def test_tool_calls_as_recorded_are_parsed_by_the_engine_from_the_tokens_it_sampled() -> None:
    for answer in _replayed("weather"):
        (call,) = answer["output"]
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "get_weather", '{"city": "Paris"}')
        assert call["weight_versions"] == [{"version": "default", "start": 0, "end": len(call["generation_token_ids"])}]


def test_answer_that_was_cut_off_is_ended_before_the_next_message() -> None:
    first, second = map(_tokens, _replayed("cut_off"))
    assert END not in first["generation_token_ids"]
    prompt, generated = first["prompt_token_ids"], first["generation_token_ids"]
    assert second["prompt_token_ids"][len(prompt) + len(generated)] == END


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("cut_off", ["The capital of France", "The capital of France is Paris."]),
        ("without_limit", ["The capital of France is Paris.", None]),
        ("stop_text", ["The capital of"]),
    ],
)
def test_text_as_recorded_is_without_what_ended_it(name: str, texts: list[str | None]) -> None:
    for answer, text in zip(_replayed(name), texts, strict=True):
        said = answer["output"][-1]["content"][0]["text"]
        assert "<|im_end|>" not in said
        assert text is None or said == text


def test_json_schema_as_recorded_is_kept() -> None:
    (answer,) = _replayed("json_schema")
    place = json.loads(answer["output"][0]["content"][0]["text"])
    assert place.keys() == {"city", "country"}


def test_reasoning_of_an_engine_with_a_parser_is_an_item_of_its_own() -> None:
    answers = _replayed("reasoning")
    assert answers[0]["output"][0]["type"] == "reasoning"


@pytest.mark.engines
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_conversation_with_the_engine_makes_the_calls_that_were_recorded(
    name: str, engine_of: Callable[[str], Engine]
) -> None:
    with recording_proxy(engine_of(SCENARIOS[name].profile)) as (proxy, address):
        answers = asyncio.run(play(SCENARIOS[name], address))
    if name != "reasoning":  # that engine has no route that takes token ids
        _assert_prompts_continue(answers)
    recorded = load("vllm_0_32_0")[f"vllm_model_{name}"].exchanges
    made = sorted(exchange.call.model_dump_json() for exchange in proxy.exchanges)
    assert made == sorted(exchange.call.model_dump_json() for exchange in recorded)
