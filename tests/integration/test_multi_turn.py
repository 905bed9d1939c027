"""Several turns with real servers: token data, a collector that is killed, a verdict given again, and the page."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bounds import HANGS_AFTER_S
from tests.chaos.invariants import check_output, read_whole_lines
from tests.chaos.processes import Collector, Endpoint, Place, endpoint, wait_until_ready, write_tasks
from tests.docs.pages import write_files
from tests.free_port import free_port
from tests.integration.conftest import ROOT, Command

pytestmark = pytest.mark.integration
CAFE = "resources_servers/example_multi_turn"
TASKS = read_whole_lines(ROOT / CAFE / "data/example.jsonl")
REPEATS = 8
USER_MODEL = """
user_model:
  responses_api_models:
    openai_model: {entrypoint: app.py, openai_base_url: "${user_base_url}", openai_api_key: x, openai_model: x}
"""


@dataclass(frozen=True)
class Cafe:
    """A run of the example, with a scripted policy that gives token data; and the endpoint that plays the guest."""

    place: Place
    port: int
    guest: Endpoint

    def collector(self, output: Path, *options: str) -> Collector:
        output.parent.mkdir(exist_ok=True)
        always = ("+agent_name=example_multi_turn_simple_agent", "+max_attempts=1", "+preflight=false")
        tasks = write_tasks(output.with_name("tasks.jsonl"), TASKS)
        return Collector(self.place, self.port, tasks, output, (*always, *options))


@pytest.fixture(scope="module")
def cafe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cafe]:
    base = tmp_path_factory.mktemp("cafe")
    place, port = Place(base / "work", base / "home"), free_port()
    place.folder.mkdir()
    scripted = yaml.safe_load((ROOT / CAFE / "configs/scripted_user.yaml").read_text())
    settings = scripted["user_model"]["responses_api_models"]["scripted_model"]
    del settings["entrypoint"]
    (base / "guest.yaml").write_text(yaml.safe_dump(settings))
    (place.folder / "user_model.yaml").write_text(USER_MODEL)
    configs = [f"{CAFE}/configs/{name}.yaml" for name in ("multi_turn", "simulated_user", "scripted_policy")]
    policy = "policy_model.responses_api_models.scripted_model"
    with endpoint(place, "--config", str(base / "guest.yaml")) as guest:
        more = [
            f"user_base_url={guest.url}/v1",
            f"{policy}.return_token_id_information=true",
            f"{policy}.latency_s=0.05",
        ]
        log = place.folder / "run.log"
        process = place.start("ng_run", *configs, "user_model.yaml", *more, f"head_server.port={port}", log=log)
        try:
            wait_until_ready(process, log)
            yield Cafe(place, port, guest)
        finally:
            process.terminate()
            process.wait(timeout=HANGS_AFTER_S)


def metrics_of(output: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(output.with_name(f"{output.stem}_metrics.json").read_text())
    return metrics


def test_a_collector_killed_in_the_middle_of_dialogues_settles_each_once_with_token_data_of_every_turn(
    cafe: Cafe, tmp_path: Path
) -> None:
    expected = REPEATS * len(TASKS)
    options = (f"+num_repeats={REPEATS}", "+check_token_ids=true", "+num_samples_in_parallel=4")
    collecting = cafe.collector(tmp_path / "out/r.jsonl", *options)
    process = collecting.start()
    collecting.wait_for_rows(expected // 3)
    process.kill()
    process.wait()
    assert collecting.run() == 0, collecting.said()
    tally = check_output(collecting.output, expected)
    assert (tally.scored, tally.masked) == (expected, 0), "token data of each call goes on from that before it"
    for row in tally.rows:
        wishes = row["wishes"]
        heard = [item["content"] for item in row["response"]["output"] if item.get("role") == "user"]
        assert heard == [wish.rstrip(".") for wish in wishes]
        assert row["user_usage"]["calls"] == len(wishes) + 1
        assert row["reward"] == float(row["_ng_task_index"] != len(TASKS) - 1)
    metrics = metrics_of(collecting.output)
    assert metrics["user_calls"] == REPEATS * sum(len(task["wishes"]) + 1 for task in TASKS)
    assert metrics["user_input_tokens"] == sum(row["user_usage"]["input_tokens"] for row in tally.rows) > 0
    assert metrics["per_rollout"]["turns"]["max"] == 3
    assert "user tokens in / out (calls)" in collecting.said()


def test_a_verdict_given_again_has_the_sessions_state_and_asks_no_model(cafe: Cafe, tmp_path: Path) -> None:
    collecting = cafe.collector(tmp_path / "out/r.jsonl")
    assert collecting.run() == 0, collecting.said()
    asked = cafe.guest.stats()["requests"]
    again = cafe.collector(tmp_path / "again/r.jsonl")
    again.command, again.options, again.tasks = "ng_reverify", (), collecting.output
    assert again.run() == 0, again.said()
    orders = [sorted((row["_ng_task_index"], str(row["order"])) for row in read_whole_lines(at.output))
              for at in (collecting, again)]  # fmt: skip
    assert orders[0] == orders[1]
    assert len(orders[0]) == len(TASKS)
    assert f"rewards changed: 0 of {len(TASKS)}" in again.said()
    assert cafe.guest.stats()["requests"] == asked, "the guest was asked again"


def test_a_guest_who_is_busy_for_ever_is_a_failure_of_the_rollout_by_name(cafe: Cafe, tmp_path: Path) -> None:
    cafe.guest.set_faults({"kind": "status", "status": 429, "headers": {"Retry-After": "1000"}})
    try:
        collecting = cafe.collector(tmp_path / "out/r.jsonl")
        assert collecting.run() == 1, collecting.said()
        tally = check_output(collecting.output, len(TASKS))
    finally:
        cafe.guest.set_faults()
    assert tally.failed == {"user_failed": len(TASKS)}
    for failure in tally.failures:
        assert failure["failure_reason"].startswith("the simulated user user_model answered 429 (model_rate_limited): ")
        assert (failure["stage"], failure["origin"]) == ("agent", {"server": "user_model", "status": 429})


GUESSING = """
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      rules: [{when: {last_user_matches: Higher}, answer: {message: Then 75.}}]
      default_answer: {message: "Is it 50?"}
"""


def test_the_game_of_the_page_is_played(
    command: Command, environment: dict[str, str], free_port: int, project: Path
) -> None:
    environment["NEMO_GYM_RUN_CA"] = "of-another-run.pem"
    write_files("docs/multi-turn.md", project)
    (project / "policy.yaml").write_text(GUESSING)
    params = {"responses_create_params": {"input": "Which number from 1 to 100 am I thinking of?"}}
    write_tasks(project / "tasks.jsonl", [{**params, "number": 75}, {**params, "number": 50}, {**params, "number": 3}])
    files = ("input_jsonl_fpath=tasks.jsonl", "output_jsonl_fpath=r.jsonl")
    limit = "guess_simple_agent.responses_api_agents.simple_agent.max_turns=4"
    options = ("agent_name=guess_simple_agent", *files, limit, f"head_server.port={free_port}")
    done = command("ng_e2e_collect_rollouts", "resources_servers/guess/configs/guess.yaml", "policy.yaml", *options)
    assert done.status == 0, done.err
    rows = {row["number"]: row for row in read_whole_lines(project / "r.jsonl")}
    assert {number: (row["reward"], row.get("stopped_by")) for number, row in rows.items()} == {
        75: (0.5, None),
        50: (1.0, None),
        3: (0.0, "max_turns"),
    }
