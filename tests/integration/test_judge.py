"""A verifier that asks a judge: real servers, and an endpoint each for the policy and for the judge."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chaos.invariants import check_output, read_whole_lines
from tests.chaos.processes import Collector, Endpoint, Place, endpoint, wait_until_ready, write_tasks
from tests.docs.pages import write_files
from tests.free_port import free_port
from tests.integration.conftest import ROOT, Command

pytestmark = pytest.mark.integration
EXAMPLE = ROOT / "resources_servers/example_judged_answers"
TASKS = EXAMPLE / "data/example.jsonl"
CONFIGS = (
    "resources_servers/example_judged_answers/configs/judged_answers.yaml",
    "responses_api_models/openai_model/configs/openai_model.yaml",
    "responses_api_models/openai_model/configs/openai_judge_model.yaml",
)
BUSY = {"kind": "status", "status": 429, "headers": {"Retry-After": "1000"}}  # longer than a model server waits


@dataclass(frozen=True)
class Judged:
    """A run of the example, and the endpoints behind its two models."""

    place: Place
    port: int
    policy: Endpoint
    judge: Endpoint

    def collector(self, output: Path, tasks: Path = TASKS) -> Collector:
        """Return a collector that makes one attempt for each task, and no call before the first."""
        output.parent.mkdir(exist_ok=True)
        own = write_tasks(output.with_name("tasks.jsonl"), read_whole_lines(tasks))
        options = ("+agent_name=judged_answers_simple_agent", "+max_attempts=1", "+preflight=false")
        return Collector(self.place, self.port, own, output, options)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    base = tmp_path_factory.mktemp("judged")
    place, port = Place(base / "work", base / "home"), free_port()
    place.folder.mkdir()
    with ExitStack() as stack:
        policy, judge = (stack.enter_context(endpoint(place, *_config(base, role))) for role in ("policy", "judge"))
        urls = [f"{role}_base_url={at.url}/v1" for role, at in (("policy", policy), ("judge", judge))]
        rest = [f"{role}_{key}=x" for role in ("policy", "judge") for key in ("api_key", "model_name")]
        log = place.folder / "run.log"
        process = place.start("ng_run", *CONFIGS, *urls, *rest, f"head_server.port={port}", log=log)
        try:
            wait_until_ready(process, log)
            yield Judged(place, port, policy, judge)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _config(folder: Path, role: str) -> tuple[str, str]:
    """Return the arguments for the endpoint that plays a model of the example's scripted configuration."""
    shipped = yaml.safe_load((EXAMPLE / "configs/scripted_models.yaml").read_text())
    settings = shipped[f"{role}_model"]["responses_api_models"]["scripted_model"]
    del settings["entrypoint"]
    settings["rules"].insert(0, {"when": {"last_user_matches": "riddle"}, "answer": {"message": "Who can say?"}})
    path = folder / f"{role}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return "--config", str(path)


@pytest.fixture(autouse=True)
def _fresh(run: Judged) -> Iterator[None]:
    for at in (run.policy, run.judge):
        at.reset()
    yield
    run.judge.reset()


def metrics_of(output: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(output.with_name(f"{output.stem}_metrics.json").read_text())
    return metrics


def test_rewards_are_what_the_judge_said_in_both_orders_and_its_tokens_are_counted_apart(
    run: Judged, tmp_path: Path
) -> None:
    collecting = run.collector(tmp_path / "out/r.jsonl")
    assert collecting.run() == 0, collecting.said()
    tally = check_output(collecting.output, 5)
    rewards = {row["_ng_task_index"]: (row["reward"], row["judge_verdict"]) for row in tally.rows}
    assert rewards == {0: (0.0, "[[A!=B]]"), **dict.fromkeys(range(1, 5), (1.0, "[[A=B]]"))}
    assert (run.policy.stats()["requests"], run.judge.stats()["requests"]) == (5, 10)
    metrics = metrics_of(collecting.output)
    usages = [row["judge_usage"] for row in tally.rows]
    assert metrics["judge_calls"] == 10
    assert metrics["judge_input_tokens"] == sum(usage["input_tokens"] for usage in usages) > 0
    assert metrics["input_tokens"] == sum(row["response"]["usage"]["input_tokens"] for row in tally.rows)
    assert metrics["mean_of"]["judge_disagreed"] == 0.0
    assert "judge tokens in / out (calls)" in collecting.said()


def test_a_judge_that_is_busy_for_ever_is_a_failure_and_a_resume_asks_the_policy_nothing(
    run: Judged, tmp_path: Path
) -> None:
    run.judge.set_faults(BUSY)
    collecting = run.collector(tmp_path / "out/r.jsonl")
    assert collecting.run() == 1, collecting.said()
    tally = check_output(collecting.output, 5)
    assert tally.failed == {"judge_failed": 5}
    for failure in tally.failures:
        assert failure["failure_reason"].startswith("the judge judge_model answered 429 (model_rate_limited): ")
        assert (failure["stage"], failure["terminal"]) == ("verification", False)
        assert failure["origin"] == {"server": "judge_model", "status": 429}
    assert metrics_of(collecting.output)["mean_reward"] is None, "a failure of the judge became a reward"
    run.judge.set_faults()
    assert collecting.run() == 0, collecting.said()
    assert check_output(collecting.output, 5).scored == 5
    assert run.policy.stats()["requests"] == 5, "the policy was asked again"


def test_a_judge_whose_answers_have_no_verdict_is_asked_three_times_and_then_a_failure(
    run: Judged, tmp_path: Path
) -> None:
    riddle = {"responses_create_params": {"input": "A riddle."}, "question": "A riddle.", "expected_answer": "x"}
    tasks = write_tasks(tmp_path / "riddles.jsonl", [riddle] * 2)
    collecting = run.collector(tmp_path / "out/r.jsonl", tasks)
    assert collecting.run() == 1, collecting.said()
    tally = check_output(collecting.output, 2)
    assert tally.failed == {"judge_unparseable": 2}
    assert "no verdict in 3 answers of the judge judge_model; the last one: 'Who can say?'" in collecting.said()
    assert run.judge.stats()["requests"] == 6
    assert len(read_whole_lines(collecting.output.with_name("r_unverified.jsonl"))) == 2


def test_a_wrong_key_of_the_judge_is_not_tried_again(run: Judged, tmp_path: Path) -> None:
    run.judge.set_faults({"kind": "status", "status": 401})
    collecting = run.collector(tmp_path / "out/r.jsonl")
    assert collecting.run("+max_attempts=3") == 1, collecting.said()
    tally = check_output(collecting.output, 5)
    assert tally.failed == {"judge_failed": 5}
    assert {(failure["attempt"], failure["terminal"]) for failure in tally.failures} == {(0, True)}
    assert run.judge.stats()["requests"] == 5
    assert "5 rollouts failed with judge_failed at judge_model" in collecting.said()


def test_reverify_asks_the_judge_again_and_not_the_policy(run: Judged, tmp_path: Path) -> None:
    collecting = run.collector(tmp_path / "out/r.jsonl")
    assert collecting.run() == 0, collecting.said()
    flipped = [{**row, "reward": 1.0 - row["reward"]} for row in read_whole_lines(collecting.output)]
    again = run.collector(tmp_path / "again/r.jsonl", write_tasks(tmp_path / "flipped.jsonl", flipped))
    again.command, again.options = "ng_reverify", ()
    assert again.run() == 0, again.said()
    assert sorted(row["reward"] for row in check_output(again.output, 5).rows) == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert "rewards changed: 5 of 5" in again.said()
    assert metrics_of(again.output)["judge_calls"] == 10
    assert (run.policy.stats()["requests"], run.judge.stats()["requests"]) == (5, 20)


def test_a_prompt_with_a_mistake_ends_the_start_and_says_what_to_write(run: Judged) -> None:
    log = run.place.folder / "mistake.log"
    key = "example_judged_answers.resources_servers.example_judged_answers.judge.prompt"
    scripted = "resources_servers/example_judged_answers/configs/scripted_models.yaml"
    port = f"head_server.port={free_port()}"
    process = run.place.start("ng_run", CONFIGS[0], scripted, port, f"{key}='Is this right? {{answer}}'", log=log)
    assert process.wait(timeout=60) != 0
    said = log.read_text()
    assert "the judge's prompt has an unknown placeholder {answer}" in said
    assert "the judge's prompt lacks the placeholder {generated}" in said
    assert "Traceback" not in said


ESSAYS = """
essays_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: essays}
      model_server: {type: responses_api_models, name: policy_model}
policy_model:
  responses_api_models:
    scripted_model: {entrypoint: app.py, default_answer: {message: Rain is wet.}}
judge_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      rules: [{when: {last_user_matches: 'topic "rain"[^.]*Rain is wet[.]'}, answer: {message: "Short. Score: 3/10"}}]
"""


def test_the_verifier_of_the_page_scores_an_essay(command: Command, free_port: int, project: Path) -> None:
    write_files("docs/judge.md", project)
    (project / "models.yaml").write_text(ESSAYS)
    write_tasks(project / "tasks.jsonl", [{"responses_create_params": {"input": "Rain?"}, "topic": "rain"}])
    files = ("input_jsonl_fpath=tasks.jsonl", "output_jsonl_fpath=r.jsonl")
    options = ("agent_name=essays_agent", *files, f"head_server.port={free_port}")
    done = command("ng_e2e_collect_rollouts", "resources_servers/essays/configs/essays.yaml", "models.yaml", *options)
    assert done.status == 0, done.err
    (row,) = read_whole_lines(project / "r.jsonl")
    assert (row["reward"], row["judge_verdict"]) == (pytest.approx(0.3), "Score: 3/10")
