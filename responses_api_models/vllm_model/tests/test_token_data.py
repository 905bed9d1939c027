"""Token data through `vllm_model`, from an endpoint whose tokens can be checked by hand."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nemo_gym.wire.failure import RolloutError
from responses_api_models.vllm_model.tests.conftest import Endpoints

Start = Callable[..., Endpoints]
WITH_TOKENS = {"return_token_id_information": True}
USER, ASSISTANT, END = 258, 259, 261


async def test_ids_and_log_probabilities_are_the_engines_and_on_the_last_item(start: Start) -> None:
    endpoints = start(default_answer={"reasoning": "hm", "message": "ok"}, server=WITH_TOKENS)
    *others, last = (await endpoints.ask("hi"))["output"]
    assert last["prompt_token_ids"] == [USER, *b"hi", END, ASSISTANT]
    assert last["generation_token_ids"][-3:] == [*b"ok", END]
    assert len(last["generation_log_probs"]) == len(last["generation_token_ids"])
    assert [item["type"] for item in others] == ["reasoning"]
    assert not any("prompt_token_ids" in item for item in others)


async def test_without_being_asked_for_nothing_is_recorded(start: Start) -> None:
    endpoints = start()
    assert "prompt_token_ids" not in (await endpoints.ask("hi"))["output"][-1]
    assert "return_token_ids" not in endpoints.requests()[0]


async def test_log_probabilities_of_the_text_are_only_where_they_were_asked_for(start: Start) -> None:
    endpoints = start(server=WITH_TOKENS)
    plain = await endpoints.ask("hi")
    wanted = await endpoints.ask("hi", include=["message.output_text.logprobs"])
    assert not plain["output"][-1]["content"][0].get("logprobs")
    assert wanted["output"][-1]["content"][0]["logprobs"]


async def test_recorded_arrays_are_not_sent_back_to_the_engine(start: Start) -> None:
    endpoints = start(default_answer={"message": "ok" * 300}, server=WITH_TOKENS)
    items = [{"role": "user", "content": "hi"}]
    items += (await endpoints.ask(items))["output"]
    await endpoints.ask([*items, {"role": "user", "content": "go on"}])
    assert "token_ids" not in str(endpoints.requests()[-1]["messages"])
    assert "weight_version" not in str(endpoints.requests()[-1]["messages"])


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("no_prompt_token_ids", "prompt_token_ids"),
        ("no_token_ids", "generation_token_ids"),
        ("no_logprobs", "no log-probabilities"),
        ("misaligned", "log-probabilities"),
        ("null", "log-probability of sampled token 0 is None"),
    ],
)
async def test_token_data_that_is_not_whole_is_a_failure_and_never_made_up(
    start: Start, problem: str, says: str
) -> None:
    endpoints = start(faults=[{"kind": "token_data", "problem": problem}], server=WITH_TOKENS)
    with pytest.raises(RolloutError) as caught:
        await endpoints.ask("hi")
    assert caught.value.failure.kind == "token_data_invalid"
    assert says in caught.value.failure.reason


async def test_a_nan_is_not_json_and_refused(start: Start) -> None:
    endpoints = start(faults=[{"kind": "token_data", "problem": "nan"}], server=WITH_TOKENS)
    with pytest.raises(RolloutError) as caught:
        await endpoints.ask("hi")
    assert caught.value.failure.kind in ("model_bad_output", "token_data_invalid")


def test_a_chat_request_gets_its_tokens_on_the_message(start: Start) -> None:
    endpoints = start(default_answer={"message": "ok"}, server=WITH_TOKENS)
    messages: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
    with TestClient(endpoints.model.setup_webserver()) as client:
        for _ in range(2):
            answer = client.post("/v1/chat/completions", json={"messages": messages})
            assert answer.status_code == 200, answer.text
            message = answer.json()["choices"][0]["message"]
            assert message["generation_token_ids"] == [*b"ok", END]
            messages += [message, {"role": "user", "content": "go on"}]
    assert "token_ids" not in str(endpoints.requests()[-1]["messages"])
