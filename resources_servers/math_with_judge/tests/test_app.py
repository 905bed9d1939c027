"""Mathematics: what is found equal, what the judge decides, work that never ends, and answers that try to cheat."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from fastapi.testclient import TestClient
from omegaconf import DictConfig

from nemo_gym.config.errors import ConfigError
from nemo_gym.server_utils import BaseServerConfig, ServerClient
from resources_servers.math_with_judge.app import (
    LibraryJudgeMathResourcesServer,
    LibraryJudgeMathResourcesServerConfig,
)
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

FOLDER = Path(__file__).parent.parent
NOWHERE = {"host": "127.0.0.1", "port": 1}
JUDGE = {"should_use_judge": True, "judge_model_server": {"type": "responses_api_models", "name": "judge_model"}}


def rows_of(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (FOLDER / "data" / name).read_bytes().splitlines()]


def server_of(*rules: dict[str, Any], default: str = "[[A=B]]", **settings: Any) -> LibraryJudgeMathResourcesServer:
    """The server with its shipped settings and these, and a judge that answers by the rules."""
    judge = ScriptedModelConfig(**NOWHERE, entrypoint="", name="judge_model", rules=list(rules))
    judge.default_answer.message = default
    block = {"judge_model": {"responses_api_models": {"scripted_model": NOWHERE}}}
    client = ServerClient(BaseServerConfig(**NOWHERE), DictConfig(block))
    client.use_local_apps({"judge_model": ScriptedModel(config=judge).setup_webserver()})
    shipped = yaml.safe_load((FOLDER / "configs/math_with_judge.yaml").read_text())
    block = shipped["math_with_judge"]["resources_servers"]["math_with_judge"]
    config = LibraryJudgeMathResourcesServerConfig.model_validate(
        {"host": "", "port": 0, "name": "math_with_judge", **block, **settings}
    )
    return LibraryJudgeMathResourcesServer(config=config, server_client=client)


def graded(client: TestClient, expected: str, *texts: str, question: str = "?", **more: Any) -> dict[str, Any]:
    output = [
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        for text in texts
    ]
    response = {"id": "r", "created_at": 1, "model": "m", "output": output}
    task = {"responses_create_params": {"input": question}, "question": question, "expected_answer": expected}
    answer = client.post("/verify", json={**task, "response": response, **more})
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def says(text: str, when: str = ".") -> dict[str, Any]:
    return {"when": {"last_user_matches": when}, "answer": {"message": text}}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """Without a judge; one server for all tests, since each starts processes of its own."""
    limits = {"max_processes": 2, "cpu_limit_s": 3.0}
    with TestClient(server_of(heavy_work=limits).setup_webserver()) as running:
        yield running


@pytest.fixture(scope="module")
def judged() -> Iterator[TestClient]:
    """With a judge that calls 3 and 7 equal in both orders, 3 and 8 in one, and nothing else."""
    rules = [
        says("Same. [[A=B]]", r"(?s)Answer A:\s*<answer>\s*3\b.*Answer B:\s*<answer>\s*[78]\b"),
        says("[[A=B]] or rather [[A!=B]]", r"(?s)Answer A:\s*<answer>\s*7\b.*Answer B:\s*<answer>\s*3\b"),
        says("[[A!=B]], not [[A=B]]", r"(?s)Answer B:\s*<answer>\s*5\b"),
    ]
    with TestClient(server_of(*rules, default="Who knows?", **JUDGE).setup_webserver()) as running:
        yield running


@pytest.mark.parametrize(
    ("expected", "text", "reward", "extracted"),
    [
        ("4", r"2 + 2 = \boxed{4}", 1.0, "4"),
        (r"\boxed{12}", r"3 * 4 = \boxed{12}", 1.0, "12"),
        (r"\boxed{5}", r"10 - 5 = \boxed{5}", 1.0, "5"),
        ("4.0", r"\boxed{\frac{8}{2}}", 1.0, "4"),
        (r"\boxed{12}", "3 * 4 = 13", 0.0, "13"),
        ("17.001", "17", 0.0, "17"),
        ("", "", 0.0, None),
        ("x + 1", r"\boxed{1 + x}", 1.0, "x + 1"),
        ("$5$", r"\boxed{5}", 1.0, "5"),
        (r"\( $5$ \)", r"\boxed{5}", 1.0, "5"),
        ("5", "<think>5</think>Hm.", 0.0, None),
    ],
)
def test_the_library_finds_what_is_equal(
    client: TestClient, expected: str, text: str, reward: float, extracted: str | None
) -> None:
    row = graded(client, expected, text)
    assert (row["reward"], row["library_reward"], row["judge_evaluations"]) == (reward, reward, None)
    if extracted != "x + 1":
        assert row["extracted_answer"] == extracted


def test_all_messages_are_one_text(client: TestClient) -> None:
    assert graded(client, "12", r"\boxed{1", "2}")["reward"] == 1.0


@pytest.mark.parametrize(
    ("text", "reward", "evaluations"),
    [
        pytest.param(r"\boxed{3}", 1.0, None, id="equal: no judge"),
        pytest.param(r"\boxed{7}", 1.0, 2, id="equal in both orders, by the first label"),
        pytest.param(r"\boxed{8}", 0.0, 2, id="equal in one order; the other has no label"),
        pytest.param(r"\boxed{5}", 0.0, 1, id="different, by the first label"),
        pytest.param(r"\boxed{6}", 0.0, 1, id="no label counts as different"),
        pytest.param("", 0.0, None, id="nothing to judge"),
    ],
)
def test_the_judge_decides_what_the_library_does_not_find_equal(
    judged: TestClient, text: str, reward: float, evaluations: int | None
) -> None:
    row = graded(judged, "3", text)
    made = row["judge_evaluations"]
    assert (row["reward"], made and len(made)) == (reward, evaluations)
    assert row["library_reward"] == float(evaluations is None and reward)


def test_an_evaluation_is_the_call_in_full(judged: TestClient) -> None:
    (evaluation,) = graded(judged, "3", r"\boxed{6}", question="How many?")["judge_evaluations"]
    assert "How many?" in str(evaluation["responses_create_params"]["input"])
    assert evaluation["response"]["output"][-1]["content"][0]["text"] == "Who knows?"


def test_a_judge_that_is_wanted_and_not_named_ends_the_start() -> None:
    with pytest.raises(ConfigError, match="should_use_judge=false"):
        server_of(should_use_judge=True, judge_model_server=None)


def test_answers_that_compute_for_ever_delay_no_other(client: TestClient) -> None:
    answers = [r"\boxed{9^{9^{9^{9}}}}"] * 2 + [r"\boxed{4}"] * 4
    with ThreadPoolExecutor(len(answers)) as callers:
        rows = list(callers.map(lambda text: graded(client, "4", text), answers))
        assert client.get("/health").status_code == 200
    assert [row["reward"] for row in rows] == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    assert rows[0]["extracted_answer"] is None


def test_columns_of_a_published_row_pass_through(client: TestClient) -> None:
    row = graded(client, "4", r"\boxed{4}", uuid="u", hash_id="h", reward_profiles=[{"a": 1}])
    assert (row["uuid"], row["hash_id"], row["reward_profiles"]) == ("u", "h", [{"a": 1}])


def test_the_example_tasks_are_solved_by_their_own_answers(client: TestClient) -> None:
    rows = rows_of("example.jsonl")
    assert len(rows) == 5
    for row in rows:
        box = f"\\boxed{{{row['expected_answer']}}}"
        assert graded(client, row["expected_answer"], box, question=row["question"])["reward"] == 1.0


def test_adversarial_answers_get_what_a_careful_person_gives_as_often_as_the_readme_says(client: TestClient) -> None:
    rows = rows_of("adversarial.jsonl")
    with ThreadPoolExecutor(4) as callers:
        graded_rows = callers.map(
            lambda row: graded(client, row["expected_answer"], row["answer"], question=row["question"]), rows
        )
        rewards = [row["reward"] for row in graded_rows]
    agreed = Counter(row["kind"] for row, reward in zip(rows, rewards, strict=True) if reward == row["careful_reward"])
    cheats = [row["note"] for row, reward in zip(rows, rewards, strict=True) if row["kind"] == "cheat" and reward]
    found = re.search(r"(\d+) of (\d+) adversarial answers", (FOLDER / "README.md").read_text())
    assert cheats == []
    assert len(rows) >= 100
    assert found is not None
    assert (agreed.total(), len(rows)) == (int(found[1]), int(found[2])), agreed
