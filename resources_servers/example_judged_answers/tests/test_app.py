"""Judged answers: the real app and the scripted judge, both in memory."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from fastapi.testclient import TestClient
from omegaconf import DictConfig

from nemo_gym.server_utils import BaseServerConfig, ServerClient
from resources_servers.example_judged_answers.app import (
    JudgedAnswersConfig,
    JudgedAnswersServer,
    JudgedAnswersVerifyRequest,
)
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

CONFIGS = Path(__file__).parent.parent / "configs"
NOWHERE = {"host": "127.0.0.1", "port": 1}
ROWS = [orjson.loads(line) for line in (CONFIGS.parent / "data/example.jsonl").read_bytes().splitlines()]


def client_of(rules: list[dict[str, Any]]) -> TestClient:
    """A caller of the server with its shipped settings, whose judge answers by these rules, else [[A=B]]."""
    judge = ScriptedModelConfig(**NOWHERE, entrypoint="", name="judge_model", rules=rules)
    judge.default_answer.message = "They say the same. [[A=B]]"
    block = {"judge_model": {"responses_api_models": {"scripted_model": NOWHERE}}}
    client = ServerClient(BaseServerConfig(**NOWHERE), DictConfig(block))
    client.use_local_apps({"judge_model": ScriptedModel(config=judge).setup_webserver()})
    shipped = yaml.safe_load((CONFIGS / "judged_answers.yaml").read_text())
    settings = shipped["example_judged_answers"]["resources_servers"]["example_judged_answers"]
    config = JudgedAnswersConfig(host="", port=0, name="example_judged_answers", **settings)
    return TestClient(JudgedAnswersServer(config=config, server_client=client).setup_webserver())


def verdict_on(text: str, *rules: dict[str, Any]) -> dict[str, Any]:
    """The verdict on an answer to the first task, whose reference is Canberra."""
    output = [{"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
    response = {"id": "r", "created_at": 1, "model": "m", "output": output if text else []}
    answer = client_of(list(rules)).post("/verify", json={**ROWS[0], "response": response})
    verdict: dict[str, Any] = answer.json()
    return verdict


def when(pattern: str, message: str) -> dict[str, Any]:
    return {"when": {"last_user_matches": pattern}, "answer": {"message": message}}


def test_an_answer_that_the_judge_calls_equivalent_in_both_orders_is_rewarded() -> None:
    verdict = verdict_on("It is Canberra.")
    assert (verdict["reward"], verdict["judge_verdict"], verdict["judge_usage"]["calls"]) == (1.0, "[[A=B]]", 2)


def test_an_answer_that_it_calls_different_is_not() -> None:
    verdict = verdict_on("Sydney", when("Sydney", "No. [[A!=B]]"))
    assert (verdict["reward"], verdict["judge_verdict"]) == (0.0, "[[A!=B]]")


def test_an_answer_that_is_equivalent_in_one_order_only_is_not() -> None:
    verdict = verdict_on("Sydney", when(r"(?s)Answer A:\s*<answer>\s*Sydney", "No. [[A!=B]]"))
    assert (verdict["reward"], verdict["judge_verdict"], verdict["judge_disagreed"]) == (0.0, "disagreement", True)


@pytest.mark.parametrize("text", ["", "<think>Canberra", " \n"])
def test_without_an_answer_no_judge_is_asked(text: str) -> None:
    verdict = verdict_on(text)
    assert (verdict["reward"], verdict["judge_verdict"], verdict["judge_usage"]["calls"]) == (0.0, "no answer", 0)


def test_a_judge_that_gives_no_verdict_gives_no_reward() -> None:
    answer = verdict_on("Sydney", when("Sydney", "Who can say?"))
    assert answer["error"]["kind"] == "judge_unparseable"
    assert "reward" not in answer


def test_the_example_tasks_are_five_and_have_what_the_verifier_needs() -> None:
    assert len(ROWS) == 5
    for row in ROWS:
        response = {"id": "r", "created_at": 1, "model": "m", "output": []}
        body = JudgedAnswersVerifyRequest.model_validate({**row, "response": response})
        assert body.question in str(row["responses_create_params"]["input"])
