"""The judge against the scripted model, called in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from fastapi import Body
from omegaconf import DictConfig
from pydantic import ValidationError

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.config.errors import ConfigError
from nemo_gym.judge import Judge, JudgeConfig, Judgement, final_text, score_parser
from nemo_gym.openai_utils import NeMoGymResponse
from nemo_gym.server_utils import BaseServerConfig, RolloutError, ServerClient
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig
from tests.bounds import HANGS_AFTER_S, NEVER_S

NOWHERE = {"host": "127.0.0.1", "port": 1}
HERE: dict[str, Any] = {"host": "", "port": 0, "entrypoint": "", "name": "judge_model"}
SETTINGS: dict[str, Any] = {
    "judge_model_server": {"type": "responses_api_models", "name": "judge_model"},
    "prompt": "{question}\nA: {expected}\nB: {generated}",
    "parse_retries": 0,
}
VALUES = {"question": "2 + 2?", "expected": "4", "generated": "four"}
SAME, DIFFERENT = "Same. [[A=B]]", "Different. [[A!=B]]"


class Setup:
    """A judge, and the model that it asks."""

    def __init__(self, judge: Judge, client: ServerClient) -> None:
        self.judge = judge
        self._client = client

    async def asked(self) -> list[dict[str, Any]]:
        """Return the bodies that the model got, oldest first."""
        answer = await self._client.get("judge_model", "/script/requests", params={"last": 100})
        return [request["body"] for request in orjson.loads(answer.body)["requests"]]


MakeSetup = Callable[..., Setup]


@pytest.fixture
def setup() -> MakeSetup:
    """Make a judge whose model gives these answers: one for each prompt that matches, else the default."""

    def make(
        default: str | dict[str, Any] = SAME,
        *,
        rules: list[dict[str, Any]] | None = None,
        faults: list[dict[str, Any]] | None = None,
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Setup:
        answer = {"message": default} if isinstance(default, str) else default
        model = ScriptedModelConfig(**HERE, default_answer=answer, rules=rules or [], faults=faults or [])
        client = client_of(ScriptedModel(config=model))
        return Setup(Judge(client, JudgeConfig.model_validate({**SETTINGS, **settings}), **options or {}), client)

    return make


def client_of(model: SimpleResponsesAPIModel) -> ServerClient:
    block = {"judge_model": {"responses_api_models": {"any": NOWHERE}}}
    client = ServerClient(BaseServerConfig(**NOWHERE), DictConfig(block))
    client.use_local_apps({"judge_model": model.setup_webserver()})
    return client


def when(pattern: str, message: str) -> dict[str, Any]:
    return {"when": {"last_user_matches": pattern}, "answer": {"message": message}}


async def failure_of_asking(judge: Judge) -> Any:
    with pytest.raises(RolloutError) as failed:
        await judge.ask(**VALUES)
    return failed.value.failure


async def test_a_judgement_has_reward_label_answers_and_what_it_cost(setup: MakeSetup) -> None:
    usage = {"input_tokens": 30, "output_tokens": 5}
    params = {"temperature": 0, "text": {"format": {"type": "json_object"}}, "engine_option": 1}
    made = setup({"message": SAME, "usage": usage}, system="Be fair.", judge_responses_create_params=params)
    judgement = await made.judge.ask(**VALUES)
    assert judgement.model_dump() == {
        "reward": 1.0,
        "judge_verdict": "[[A=B]]",
        "judge_disagreed": None,
        "judge_usage": {"calls": 1, "input_tokens": 30, "output_tokens": 5, "total_tokens": 35},
        "judge_answers": [SAME],
    }
    assert await made.asked() == [
        {
            **params,
            "input": [
                {"role": "system", "content": "Be fair."},
                {"role": "user", "content": "2 + 2?\nA: 4\nB: four"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("first", "second", "settings", "reward", "verdict", "disagreed"),
    [
        pytest.param(SAME, SAME, {}, 1.0, "[[A=B]]", False, id="both-same"),
        pytest.param(DIFFERENT, DIFFERENT, {}, 0.0, "[[A!=B]]", False, id="both-different"),
        pytest.param(SAME, DIFFERENT, {}, 0.0, "disagreement", True, id="lower-by-default"),
        pytest.param(DIFFERENT, SAME, {"on_disagreement": "mean"}, 0.5, "disagreement", True, id="mean"),
        pytest.param(DIFFERENT, SAME, {"on_disagreement": -1}, -1.0, "disagreement", True, id="a-number"),
    ],
)
async def test_both_orders_ask_twice_and_a_disagreement_is_named(
    setup: MakeSetup,
    first: str,
    second: str,
    settings: dict[str, Any],
    reward: float,
    verdict: str,
    disagreed: bool,
) -> None:
    made = setup(rules=[when("A: 4", first), when("A: four", second)], both_orders=True, **settings)
    judgement = await made.judge.ask(**VALUES)
    assert (judgement.reward, judgement.judge_verdict, judgement.judge_disagreed) == (reward, verdict, disagreed)
    assert judgement.judge_usage.calls == 2
    assert [body["input"][0]["content"] for body in await made.asked()] == [
        "2 + 2?\nA: 4\nB: four",
        "2 + 2?\nA: four\nB: 4",
    ]


@pytest.mark.parametrize(
    ("second", "reward", "disagreed"),
    [
        pytest.param("[[A]]", 1.0, False, id="the-same-answer-wins-in-both-places"),
        pytest.param("[[B]]", 0.5, True, id="the-same-place-wins-whatever-stands-there"),
    ],
)
async def test_a_comparison_has_other_rewards_where_the_answers_are_swapped(
    setup: MakeSetup, second: str, reward: float, disagreed: bool
) -> None:
    labels = {"labels": {"[[A]]": 0.0, "[[B]]": 1.0}, "swapped_labels": {"[[A]]": 1.0, "[[B]]": 0.0}}
    rules = [when("A: 4", "[[B]]"), when("A: four", second)]
    made = setup(rules=rules, both_orders=True, on_disagreement=0.5, **labels)
    judgement = await made.judge.ask(**VALUES)
    assert (judgement.reward, judgement.judge_disagreed) == (reward, disagreed)


async def test_a_parser_of_the_author_reads_the_text(setup: MakeSetup) -> None:
    made = setup("Score: 7/10", options={"parser": score_parser(0, 10)})
    assert (await made.judge.ask(**VALUES)).reward == pytest.approx(0.7)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"message": "I cannot decide."}, id="no-label"),
        pytest.param({"reasoning": SAME, "message": "Well."}, id="label-in-a-reasoning-item"),
        pytest.param({"reasoning": SAME}, id="reasoning-only"),
        pytest.param({"message": f"<think>{SAME}</think> Well."}, id="label-in-a-think-block"),
        pytest.param({"refusal": SAME}, id="refusal"),
        pytest.param({"message": SAME, "incomplete": "max_output_tokens"}, id="cut-off"),
    ],
)
async def test_an_answer_without_a_verdict_is_asked_for_again_and_then_a_failure(
    setup: MakeSetup, answer: dict[str, Any]
) -> None:
    made = setup(answer, parse_retries=2)
    failure = await failure_of_asking(made.judge)
    assert (failure.kind, failure.stage, failure.terminal) == ("judge_unparseable", "verification", False)
    assert failure.origin.server == "judge_model"
    assert "no verdict in 3 answers of the judge judge_model" in failure.reason
    assert len(await made.asked()) == 3


async def test_the_reason_shows_the_beginning_of_the_last_answer_and_that_it_was_cut_off(setup: MakeSetup) -> None:
    made = setup({"message": "Let me see. " * 100, "incomplete": "max_output_tokens"})
    failure = await failure_of_asking(made.judge)
    assert "cut off by max_output_tokens: 'Let me see. Let me see. " in failure.reason
    assert len(failure.reason) < 400


async def test_a_verdict_of_a_later_try_counts_and_every_try_is_paid_for() -> None:
    said = iter(["Hm.", SAME])

    class Hesitant(SimpleResponsesAPIModel):
        config: BaseResponsesAPIModelConfig

        async def responses(self, body: dict[str, Any] = Body()) -> dict[str, Any]:
            return response(message(next(said)))

        async def chat_completions(self, body: dict[str, Any] = Body()) -> Any:
            raise NotImplementedError

    client = client_of(Hesitant(config=BaseResponsesAPIModelConfig(**HERE)))
    judgement = await Judge(client, JudgeConfig.model_validate({**SETTINGS, "parse_retries": 1})).ask(**VALUES)
    assert (judgement.reward, judgement.judge_answers) == (1.0, ["Hm.", SAME])
    assert judgement.judge_usage.model_dump() == {
        "calls": 2,
        "input_tokens": None,
        "output_tokens": None,
        "total_tokens": None,
    }


@pytest.mark.parametrize(
    ("fault", "cause", "status", "terminal"),
    [
        ({"status": 429}, "model_rate_limited", 429, False),
        ({"status": 503}, "model_unavailable", 503, False),
        ({"status": 401}, "model_auth", 401, True),
        ({"status": 429, "code": "insufficient_quota"}, "model_quota_exhausted", 429, True),
        ({"status": 400, "code": "context_length_exceeded"}, "context_length_exceeded", 400, True),
    ],
)
async def test_a_judge_that_answers_with_an_error_is_a_failure_that_keeps_its_cause(
    setup: MakeSetup, fault: dict[str, Any], cause: str, status: int, terminal: bool
) -> None:
    made = setup(faults=[{"kind": "status", **fault}])
    failure = await failure_of_asking(made.judge)
    assert failure.reason.startswith(f"the judge judge_model answered {status} ({cause}): ")
    assert (failure.kind, failure.stage, failure.terminal) == ("judge_failed", "verification", terminal)
    assert (failure.origin.server, failure.origin.status) == ("judge_model", status)


@pytest.mark.parametrize("kind", ["html", "not_a_response"])
async def test_something_that_is_not_a_response_is_a_failed_judge(setup: MakeSetup, kind: str) -> None:
    failure = await failure_of_asking(setup(faults=[{"kind": kind}]).judge)
    assert failure.kind == "judge_failed"
    assert "(model_bad_output): judge_model answered something that isn't a Response" in failure.reason


async def test_a_response_that_failed_is_a_failed_judge(setup: MakeSetup) -> None:
    failure = await failure_of_asking(setup({"status": "failed"}).judge)
    assert failure.kind == "judge_failed"
    assert "model_unavailable" in failure.reason


async def test_a_judge_that_cannot_be_reached_is_a_failure_that_time_may_heal() -> None:
    client = ServerClient(
        BaseServerConfig(**NOWHERE), DictConfig({"judge_model": {"responses_api_models": {"any": NOWHERE}}})
    )
    failure = await failure_of_asking(Judge(client, JudgeConfig.model_validate({**SETTINGS, "timeout_s": 0.2})))
    assert (failure.kind, failure.terminal) == ("judge_failed", False)
    assert failure.origin.server == "judge_model"


async def test_a_judge_that_takes_too_long_is_a_failure_that_names_the_setting(setup: MakeSetup) -> None:
    failure = await failure_of_asking(setup({"message": SAME, "latency_s": NEVER_S}, timeout_s=0.1).judge)
    assert failure.kind == "judge_failed"
    assert "(transport_timeout)" in failure.reason
    assert "within 0.1 s (setting timeout_s of the judge)" in failure.reason


async def test_a_verifier_that_is_cancelled_gives_its_turn_back(setup: MakeSetup) -> None:
    rules = [{"when": {"last_user_matches": "slow"}, "answer": {"message": SAME, "latency_s": NEVER_S}}]
    made = setup(rules=rules, max_concurrency=1)
    slow = asyncio.create_task(made.judge.ask(**{**VALUES, "question": "slow"}))
    async with asyncio.timeout(HANGS_AFTER_S):
        while not await made.asked():
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(made.judge.ask(**VALUES))
        await asyncio.sleep(0.05)
        assert len(await made.asked()) == 1, "two calls at a time"
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await waiting).reward == 1.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prompt": None}, "either `prompt` or `prompt_fpath`"),
        ({"prompt_fpath": "p.txt"}, "either `prompt` or `prompt_fpath`"),
        ({"promt": "x"}, "Extra inputs are not permitted"),
        ({"labels": {}}, "at least 1"),
        ({"labels": {"yes": float("nan")}}, "finite"),
        ({"swapped_labels": {"[[A]]": 1.0}}, "the same labels"),
        ({"judge_responses_create_params": {"input": "x"}}, "leave `input` out"),
        ({"judge_responses_create_params": {"temperature": 3}}, "temperature"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"on_disagreement": "tie"}, "on_disagreement"),
    ],
)
def test_a_mistake_in_the_settings_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        JudgeConfig.model_validate({**SETTINGS, **settings})
    assert said in str(refused.value)


def test_a_prompt_that_hides_what_is_judged_is_refused_when_the_server_is_made(setup: MakeSetup) -> None:
    with pytest.raises(ConfigError, match=r"lacks the placeholder \{generated\}"):
        setup(prompt="{question} {expected}")
    setup(prompt="{answer}", options={"placeholders": ("answer",)})


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({"both_orders": True}, {"swapped": ("a", "b")}, "both_orders swaps a and b"),
        ({"labels": {"yes": 1.0}}, {"parser": score_parser(0, 1)}, "labels would have no effect"),
    ],
)
def test_a_setting_that_the_verifier_cannot_follow_is_refused_when_the_server_is_made(
    setup: MakeSetup, settings: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        setup(options=options, **settings)


def message(text: str, role: str = "assistant") -> dict[str, Any]:
    return {"type": "message", "id": "m", "role": role, "content": [{"type": "output_text", "text": text}]}


def response(*output: dict[str, Any]) -> dict[str, Any]:
    return {"id": "r", "created_at": 1, "model": "m", "output": list(output)}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ([message("Let me look."), message(" four\n")], "four"),
        ([message("four"), {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}], "four"),
        ([message("<think>five?</think>four")], "four"),
        ([message("four"), {"role": "user", "content": "sure?"}], "four"),
        ([{"type": "reasoning", "id": "x", "summary": [{"type": "summary_text", "text": "four"}]}], ""),
        ([], ""),
    ],
)
def test_the_final_text_is_that_of_the_last_message_without_reasoning(output: list[dict[str, Any]], text: str) -> None:
    assert final_text(NeMoGymResponse.model_validate(response(*output))) == text


def test_a_rollout_without_an_answer_needs_no_judge() -> None:
    judgement = Judgement(reward=0.0, judge_verdict="no answer")
    assert judgement.judge_usage.model_dump() == {"calls": 0, "input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
