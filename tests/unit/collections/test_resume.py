from pathlib import Path
from typing import Any

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.outcomes import Attempt, Scored
from nemo_gym.collections.tasks import Task
from nemo_gym.collections.writing.resume import ResumeState
from nemo_gym.collections.writing.writer import Output
from nemo_gym.rollouts.collector import work_left
from nemo_gym.wire.failure import rollout_error


def attempt(task: int, number: int = 0, repeat: int = 0) -> Attempt:
    return Attempt.begin(task, repeat, number, "agent")


def scored(task: int, repeat: int = 0) -> Scored:
    return Scored({"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": 1.0})


def read(paths: OutputPaths) -> tuple[ResumeState, list[Any]]:
    seen: list[Any] = []
    return ResumeState.read(paths, seen.append), seen


def test_what_is_scored_is_done_and_what_was_cut_off_has_had_an_attempt(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "r.jsonl")
    output = Output(paths)
    output.dispatched(attempt(0))
    output.settle(scored(0))
    output.dispatched(attempt(1))
    output.dispatched(attempt(1, number=1))
    output.close()
    settled, seen = read(paths)
    assert len(seen) == 1
    left = list(work_left(iter([Task(0, 1, b""), Task(1, 2, b"")]), 2, settled))
    assert [(w.task.index, w.rollout_index, w.first_attempt) for w in left] == [(0, 1, 0), (1, 0, 2), (1, 1, 0)]


def test_a_failure_is_tried_again_unless_its_row_can_never_be_sent(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "r.jsonl")
    output = Output(paths)
    output.settle(attempt(0).failed(rollout_error("input_invalid", "line 1", stage="admission")))
    output.settle(attempt(1).failed(rollout_error("input_invalid", "a server refused it", stage="agent")))
    output.settle(attempt(2).failed(rollout_error("model_auth", "wrong key")))
    output.close()
    settled, _ = read(paths)
    assert [w.task.index for w in work_left((Task(i, 1, b"") for i in range(3)), 1, settled)] == [1, 2]
    assert [record.failure_kind for record in settled.final_failures()] == ["input_invalid"]
    assert [record.task_index for record in settled.earlier_failures()] == [1, 2]


def test_the_last_unverified_trajectory_waits_for_its_verdict_until_it_is_scored(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "r.jsonl")
    output = Output(paths)
    output.unverified(attempt(0), {"response": "first"})
    output.unverified(attempt(0, number=1), {"response": "second"})
    output.unverified(attempt(1), {"response": "scored since"})
    output.settle(scored(1))
    output.close()
    settled, _ = read(paths)
    assert settled.trajectory((0, 0)) == {"response": "second"}
    assert settled.trajectory((1, 0)) is None


def test_work_is_made_only_as_it_is_asked_for(tmp_path: Path) -> None:
    def endless() -> Any:
        index = 0
        while True:
            yield Task(index, index + 1, b"")
            index += 1

    work = work_left(endless(), 1, read(OutputPaths(tmp_path / "r.jsonl"))[0])
    assert [next(work).task.index for _ in range(3)] == [0, 1, 2]
