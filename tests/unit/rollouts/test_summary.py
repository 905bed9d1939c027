from pathlib import Path

import pytest

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.metrics.metrics import Metrics
from nemo_gym.collections.outcomes import Attempt, Scored
from nemo_gym.commands.rollouts.show_rollouts import show_rollouts
from nemo_gym.rollouts.summary import failure_lines, summary_rows
from nemo_gym.wire.failure import rollout_error

ANSWER = {"type": "message", "role": "assistant", "content": "4"}


def rows_of(rewards: list[list[float]], threshold: float = 1.0, **more: object) -> dict[str, str]:
    metrics, counts = Metrics(threshold), Counts(expected=sum(map(len, rewards)))
    response = {"output": [ANSWER], "usage": {"input_tokens": 1_000, "output_tokens": 20}}
    for task, of_task in enumerate(rewards):
        for repeat, reward in enumerate(of_task):
            place = {"_ng_task_index": task, "_ng_rollout_index": repeat}
            metrics.add(task, reward, Scored({**place, "reward": reward, "response": response, **more}).line)
            counts.add_verified(is_masked=False)
    return {name.strip(): value for name, value in summary_rows(counts, metrics.as_dict(counts), 1.0)}


def test_a_summary_says_what_counts_as_solved_and_how_sure_the_mean_is() -> None:
    rows = rows_of([[1.0, 0.5], [0.0, 0.0], [1.0, 1.0]], threshold=0.5)
    assert rows["mean reward"] == "0.5833 ± 0.3"
    assert rows["pass@2 (reward >= 0.5)"] == "0.6667"
    assert rows["tasks all / some / none solved (reward >= 0.5)"] == "2 / 0 / 1"
    assert rows["hardest tasks (mean reward of n)"] == "1 (0 of 2), 0 (0.75 of 2), 2 (1 of 2)"
    assert rows["tokens in per rollout, mean / max"] == "1,000 / 1,000"


def test_a_summary_of_one_rollout_says_nothing_of_tasks_and_errors() -> None:
    rows = rows_of([[1.0]])
    assert rows["mean reward"] == "1"
    assert not [name for name in rows if "task" in name or "pass@" in name or "tool errors" in name]


def test_a_summary_tells_the_tokens_of_judges_where_there_are_any() -> None:
    judged = rows_of([[1.0, 1.0]], judge_usage={"calls": 2, "input_tokens": 700, "output_tokens": 9})
    assert judged["tokens in / out"] == "2,000 / 40"
    assert judged["judge tokens in / out (calls)"] == "1,400 / 18 (4)"
    assert not [name for name in rows_of([[1.0]]) if "judge" in name]


def test_one_failure_is_one_time() -> None:
    counts = Counts(expected=1)
    counts.add(Attempt.begin(0, 0, 0, "agent").failed(rollout_error("agent_error", "it broke")))
    first, _ = failure_lines(counts, OutputPaths(Path("r.jsonl")))
    assert first.startswith("agent_error, 1 time: it broke")


def test_rollouts_are_shown_also_where_a_verifier_left_the_response_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    whole = {"responses_create_params": {"input": "2 + 2?"}, "response": {"output": [ANSWER]}}
    rows = [{"_ng_task_index": n, "_ng_rollout_index": 0, "reward": 1.0, **more} for n, more in enumerate([whole, {}])]
    path.write_bytes(b"".join(Scored(row).line for row in rows))
    show_rollouts(path, conversations=2)
    shown = capsys.readouterr().out
    assert "2 + 2?" in shown
    assert "rollout 1-0" in shown
