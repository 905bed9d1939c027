import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import DamagedFileError
from nemo_gym.collections.reading.reader import CollectionReader, FileChange
from nemo_gym.collections.records import AttemptFailed, Dispatched
from tests.unit.rollouts.conftest import Agent, MakeCollection, failing


def row(task: int, repeat: int = 0, reward: float = 1.0, **more: object) -> bytes:
    fields = {"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": reward, **more}
    return json.dumps(fields).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "r.jsonl"
    path.write_bytes(row(1) + row(0, 1, 0.5, mask_sample=True) + row(0, 0, 0.0))
    return path


async def test_every_file_of_a_collection_is_read_as_typed_records(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = failing("judge_failed", "verification")
    made = collection(1, max_attempts=2)
    await made.run()
    agent.answer = None
    await collection(1).run()
    reader = CollectionReader(made.paths.rollouts)
    assert [(r.task_index, r.rollout_index, r.reward, r.outcome) for r in reader.rollouts()] == [(0, 0, 1.0, "scored")]
    assert [failure.failure_kind for failure in reader.failures()] == ["judge_failed"]
    assert [type(event) for event in reader.journal()] == [Dispatched, AttemptFailed, Dispatched, Dispatched]
    manifest, metrics = reader.manifest(), reader.metrics()
    assert manifest is not None
    assert metrics is not None
    assert (manifest.num_tasks, metrics.scored, metrics.mean_reward) == (1, 1, 1.0)


def test_a_rollout_file_alone_is_a_collection_without_the_rest(path: Path) -> None:
    reader = CollectionReader(path)
    assert len(list(reader.rollouts())) == 3
    assert (list(reader.failures()), list(reader.journal()), list(reader.unverified())) == ([], [], [])
    assert (reader.manifest(), reader.metrics()) == (None, None)


def test_rollouts_are_read_by_task_and_repeat_and_of_two_at_a_place_the_last(path: Path) -> None:
    path.write_bytes(path.read_bytes() + row(1, 0, 0.25))
    reader = CollectionReader(path)
    reader.index.refresh()
    found = [(entry.task_index, entry.rollout_index, stored.reward) for entry, stored in reader.by_task()]
    assert found == [(0, 0, 0.0), (0, 1, 0.5), (1, 0, 0.25)]


def test_many_rollouts_are_in_order_and_of_those_at_one_place_far_apart_the_last_counts(path: Path) -> None:
    count = 70_000  # more than are sorted at once
    lines = [row(number * 7919 % count, 0, float(number)) for number in range(count)]
    path.write_bytes(b"".join([row(0, 0, -1.0), row(count - 1, 0, -1.0), *lines]))
    reader = CollectionReader(path)
    reader.index.refresh()
    found = list(reader.index.by_place())
    assert [entry.task_index for entry in found] == list(range(count))
    assert all(entry.reward is not None and entry.reward * 7919 % count == entry.task_index for entry in found)


def test_rows_without_a_place_are_tasks_of_their_own_in_file_order(path: Path) -> None:
    path.write_bytes(b'{"reward": 0.5}\n{"reward": 0.25}\n')
    reader = CollectionReader(path)
    reader.index.refresh()
    assert [(entry.task_index, stored.reward) for entry, stored in reader.by_task()] == [(0, 0.5), (1, 0.25)]


def test_a_rollout_is_found_by_its_offset_and_by_its_place(path: Path) -> None:
    reader = CollectionReader(path)
    offsets = [rollout.offset for rollout in reader.rollouts()]
    assert reader.rollout_at(offsets[2]).row == {"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 0.0}
    reader.index.refresh()
    found = reader.find(0, 1)
    assert found is not None
    assert (found.offset, found.reward, found.outcome) == (offsets[1], 0.5, "masked")
    assert reader.find(7, 0) is None
    assert [entry.offset for entry in map(reader.index.__getitem__, range(3))] == offsets


def test_an_index_follows_a_growing_file_and_waits_for_the_end_of_a_line(path: Path) -> None:
    index = CollectionReader(path).index
    assert (index.refresh(), index.refresh()) == (FileChange.GROWN, FileChange.SAME)
    line = row(5, reward=0.25)
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert (index.refresh(), len(index)) == (FileChange.SAME, 3)
        file.write(line[20:])
        file.flush()
        assert (index.refresh(), len(index)) == (FileChange.GROWN, 4)
    assert index.find(5, 0) == index[3]
    assert (index[3].reward, index.size_bytes) == (0.25, path.stat().st_size)


def _replace(path: Path) -> None:
    path.with_name("new").write_bytes(row(9) + row(8) + row(7) + row(6))
    path.with_name("new").replace(path)


def _write_over(path: Path) -> None:
    path.write_bytes(row(9) + row(8) + row(7) + row(6))


@pytest.mark.parametrize(
    ("act", "change", "tasks"),
    [
        pytest.param(_replace, FileChange.REPLACED, [9, 8, 7, 6], id="replaced"),
        pytest.param(_write_over, FileChange.REPLACED, [9, 8, 7, 6], id="written-over"),
        pytest.param(lambda path: os.truncate(path, len(row(1))), FileChange.TRUNCATED, [1], id="truncated"),
        pytest.param(Path.unlink, FileChange.VANISHED, [], id="vanished"),
    ],
)
def test_an_index_notices_that_the_file_is_not_the_same_any_more(
    act: Callable[[Path], None], change: FileChange, tasks: list[int], path: Path
) -> None:
    index = CollectionReader(path).index
    index.refresh()
    act(path)
    assert index.refresh() is change
    assert [index[n].task_index for n in range(len(index))] == tasks


def test_a_kept_index_is_used_while_it_fits_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(row(n, text="x" * 4_000) for n in range(1_100)))
    first = CollectionReader(path, keeps_index=True).index
    assert first.refresh() is FileChange.GROWN
    kept = OutputPaths(path).index
    assert kept.stat().st_size < 1_100 * 50
    again = CollectionReader(path, keeps_index=True).index
    assert (again.refresh(), len(again), again[1_099]) == (FileChange.SAME, 1_100, first[1_099])
    with path.open("ab") as file:
        file.write(row(2_000))
    grown = CollectionReader(path, keeps_index=True).index
    assert (grown.refresh(), len(grown)) == (FileChange.GROWN, 1_101)
    path.write_bytes(path.read_bytes().replace(b"xxx", b"yyy"))
    changed = CollectionReader(path, keeps_index=True).index
    assert (changed.refresh(), len(changed)) == (FileChange.REPLACED, 1_101)
    kept.write_bytes(b"\x00" * 100)
    damaged = CollectionReader(path, keeps_index=True).index
    assert (damaged.refresh(), len(damaged)) == (FileChange.GROWN, 1_101)


def test_a_small_file_and_a_reader_that_was_not_asked_leave_no_index(path: Path) -> None:
    for keeps_index in (True, False):
        CollectionReader(path, keeps_index=keeps_index).index.refresh()
    assert [each.name for each in path.parent.iterdir()] == ["r.jsonl"]


def test_rows_that_no_collector_wrote_are_numbered_and_damaged_lines_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_bytes(b'{"reward": 1}\n\nnot JSON\n{"text": "x"}\n[1]\n{"reward": 0.5, "mask_sample": false}')
    index = CollectionReader(path).index
    index.refresh()
    entries = [index[n] for n in range(len(index))]
    assert [(entry.task_index, entry.outcome, entry.reward) for entry in entries] == [
        (0, "scored", 1.0),
        (1, "no_reward", None),
        (2, "scored", 0.5),
    ]
    assert index.damaged == [15, 38]


def test_a_damaged_line_is_an_error_with_its_place(path: Path) -> None:
    path.write_bytes(row(0) + b'{"reward": "high"}\n')
    with pytest.raises(DamagedFileError, match=r"line 2 of .*r\.jsonl is damaged"):
        list(CollectionReader(path).rollouts())
    OutputPaths(path).failures.write_bytes(b'{"failure_kind": "x"}\n')
    with pytest.raises(DamagedFileError, match=r"line 1 of .*r_failures\.jsonl is damaged: _ng_task_index"):
        list(CollectionReader(path).failures())
    OutputPaths(path).journal.write_bytes(b'{"event": "lost"}\n')
    with pytest.raises(DamagedFileError, match=r"line 1 of .*r_journal\.jsonl is damaged"):
        list(CollectionReader(path).journal())
    OutputPaths(path).metrics.write_bytes(b'{"expected": "many"}')
    with pytest.raises(DamagedFileError, match=r"r_metrics\.json is damaged: expected"):
        CollectionReader(path).metrics()


def test_a_fifo_is_an_error_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.jsonl")
    with pytest.raises(DamagedFileError, match="is a FIFO"):
        list(CollectionReader(tmp_path / "r.jsonl").rollouts())
