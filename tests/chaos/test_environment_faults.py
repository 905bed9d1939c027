"""Cases 6 and 7: tools, verifiers and judges break; the policy is fine."""

import json
from pathlib import Path
from typing import Any

from tests.chaos.conftest import MakeCollector
from tests.chaos.invariants import beside, check_output, read_whole_lines
from tests.chaos.processes import Endpoint, task

ONE_ATTEMPT = "+max_attempts=1"


def acting(number: int, do: str) -> dict[str, Any]:
    script = [{"call": {"name": "act", "arguments": {"do": do}}}, {"message": "Done."}]
    return task(number, script)


def test_a_broken_tool_is_reported_to_the_policy_and_masks_the_rollout(
    endpoint: Endpoint, collector: MakeCollector
) -> None:
    rows = [acting(number, do) for number, do in enumerate(["work", "raise", "hang", "megabyte", "no_json"])]
    collecting = collector(rows, ONE_ATTEMPT)
    assert collecting.run(bound_s=30) == 0, collecting.said()
    tally = check_output(collecting.output, 5)
    assert (tally.scored, tally.masked) == (3, 2)
    by_task = {row["_ng_task_index"]: row for row in tally.rows}
    assert by_task[1]["failure_kind"] == "tool_error"
    assert by_task[2]["failure_kind"] == "tool_timeout"
    assert 100_000 < len(_tool_result(by_task[3])) < 300_000, "a long result is cut, not lost"
    assert "no JSON" in _tool_result(by_task[4])
    metrics = json.loads(beside(collecting.output, "metrics.json").read_text())
    assert metrics["mean_reward"] == 1.0, "a masked reward entered the mean"


def _tool_result(row: dict[str, Any]) -> str:
    return "".join(item["output"] for item in row["response"]["output"] if item["type"] == "function_call_output")


def test_a_broken_verifier_is_a_failure_and_never_a_reward(endpoint: Endpoint, collector: MakeCollector) -> None:
    verdicts = ["good", "raise", "hang", "nan", "none", "text"]
    collecting = collector([task(number, verdict=verdict) for number, verdict in enumerate(verdicts)], ONE_ATTEMPT)
    assert collecting.run(bound_s=30) == 1, collecting.said()
    tally = check_output(collecting.output, 6)
    assert tally.scored == 1
    assert tally.failed == {"verifier_error": 4, "verifier_timeout": 1}
    assert {failure["stage"] for failure in tally.failures} == {"verification"}
    assert "verify_timeout_s" in collecting.said(), "the error of a deadline names its setting"


def test_a_failed_judge_is_asked_again_about_the_saved_trajectory_and_the_policy_is_not(
    endpoint: Endpoint, collector: MakeCollector, tmp_path: Path
) -> None:
    down = tmp_path / "judge_is_down"
    down.touch()
    rows = [task(number, judge_down_while=str(down)) for number in range(9)]
    rows.append({**acting(9, "raise"), "judge_down_while": str(down)})
    collecting = collector(rows, "+max_attempts=2")
    assert collecting.run() == 1, collecting.said()
    tally = check_output(collecting.output, 10)
    assert tally.failed == {"judge_failed": 10}
    assert {(f["stage"], f["origin"]["server"]) for f in tally.failures} == {("verification", "judge_model")}
    assert endpoint.stats()["requests"] == 20, "a second attempt verifies, and does not generate"
    down.unlink()
    assert collecting.run() == 0, collecting.said()
    tally = check_output(collecting.output, 10)
    assert (tally.scored, tally.masked) == (9, 1), "what a broken tool has masked stays masked"
    assert endpoint.stats()["requests"] == 20, "the policy was asked again"
    assert {row["num_acts"] for row in tally.rows} == {1}, "the tool calls were played again in a fresh session"
    assert len(read_whole_lines(beside(collecting.output, "unverified.jsonl"))) == 10


def test_reverify_scores_rollouts_again_without_a_model(
    endpoint: Endpoint, collector: MakeCollector, tmp_path: Path
) -> None:
    collecting = collector([task(0), acting(1, "raise"), task(2)], ONE_ATTEMPT)
    assert collecting.run() == 0, collecting.said()
    before = endpoint.stats()["requests"]
    wrong = tmp_path / "wrong.jsonl"
    rows = [{**row, "reward": 0.25} for row in read_whole_lines(collecting.output)]
    wrong.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = collector(1)
    again.tasks, again.output, again.command = wrong, tmp_path / "again" / "r.jsonl", "ng_reverify"
    again.options = ()
    assert again.run() == 0, again.said()
    tally = check_output(again.output, 3)
    assert (tally.scored, tally.masked) == (2, 1), "a mask for a broken tool is not lifted by a new verdict"
    assert "rewards changed: 3 of 3" in again.said()
    assert endpoint.stats()["requests"] == before
