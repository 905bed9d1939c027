"""The tasks of a collection whose profile meets a condition, as a task file for the next one."""

import base64
import codecs
import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from nemo_gym.analysis.expression import Condition
from nemo_gym.analysis.task_profile import ProfileSettings, TaskProfile, profile_tasks
from nemo_gym.collections.drafts import Drafts
from nemo_gym.collections.identity import ROW_DIGEST_BYTES
from nemo_gym.collections.line_file import decoded, iter_lines, lines_at
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.config.errors import ConfigError, Mistake

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Selection:
    """What a selection came to. `without_rollouts`: tasks of the profile that have no scored rollout."""

    selected: int
    profiled: int
    without_rollouts: int


def select_tasks(
    reader: CollectionReader, condition: Condition, settings: ProfileSettings, tasks: Path | None, output: Path
) -> Selection:
    """Write the tasks that meet a condition, in the order of their index.

    Args:
        reader: The collection, with a refreshed index.
        condition: Over the fields of `TaskProfile`.
        settings: How tasks are measured.
        tasks: The task file that was collected, whose rows are copied as they are; None: the rows as they were sent,
            from the collection's materialized inputs.
        output: The new task file.

    Raises:
        ConfigError: No task meets the condition, or a row isn't the one that was collected.
        DamagedFileError: A file of the collection holds something else.
        OutputError: The output can't be written.
    """
    chosen, profiled, empty = array("Q"), 0, 0
    for profile in profile_tasks(reader, settings):
        profiled += 1
        empty += profile.n == 0
        if condition(profile.model_dump()):
            chosen.append(profile.task_index)
    if not chosen:
        what = f"none of {profiled} tasks meets the condition {condition.text!r}"
        raise ConfigError(Mistake(what, "where", fix="ng_profile shows the tasks; choose a wider condition"))
    rows = _sent_rows(reader, chosen) if tasks is None else _rows_of(tasks, chosen, reader.manifest())
    with Drafts() as drafts:
        drafts.open(output).writelines(row + b"\n" for row in rows)
        drafts.publish()
    return Selection(len(chosen), profiled, empty)


def fields() -> list[str]:
    """Return the names that a condition may use."""
    return list(TaskProfile.model_fields)


def _rows_of(tasks: Path, chosen: "array[int]", manifest: Manifest | None) -> Iterator[bytes]:
    """Yield the chosen rows of a task file; rows are counted as the collector counts them."""
    digests = b"" if manifest is None else base64.b64decode(manifest.row_digests)
    wanted = iter(chosen)
    want = next(wanted, None)
    for index, text in enumerate(_task_texts(tasks)):
        if index == want:
            _check_digest(tasks, index, text, digests)
            yield text
            want = next(wanted, None)
    if want is not None:
        what = f"{tasks} has no row {want}, counted from 0"
        raise ConfigError(Mistake(what, "tasks_jsonl_fpath", fix="name the task file that was collected"))


def _task_texts(tasks: Path) -> Iterator[bytes]:
    try:
        file = tasks.open("rb")
    except OSError as error:
        raise ConfigError(Mistake(f"cannot read {tasks}: {error.strerror}", "tasks_jsonl_fpath")) from error
    with file:
        for number, line in enumerate(file):
            text = (line if number else line.removeprefix(codecs.BOM_UTF8)).strip()
            if text:
                yield text


def _check_digest(tasks: Path, index: int, text: bytes, digests: bytes) -> None:
    recorded = digests[index * ROW_DIGEST_BYTES : (index + 1) * ROW_DIGEST_BYTES]
    if recorded and not hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest().startswith(recorded):
        what = f"row {index} of {tasks}, counted from 0, isn't the task that was collected"
        fix = "name the task file as it was, or leave tasks_jsonl_fpath out: the rows as they were sent are used then"
        raise ConfigError(Mistake(what, "tasks_jsonl_fpath", fix=fix))


def _sent_rows(reader: CollectionReader, chosen: "array[int]") -> Iterator[bytes]:
    path = reader.paths.materialized_inputs
    offsets = dict.fromkeys(chosen, -1)
    for line in iter_lines(path):
        task = decoded(line).get(TASK_INDEX_KEY, -1)
        if offsets.get(task, 0) == -1:  # a task that is chosen and wasn't met yet
            offsets[task] = line.offset
    if missing := [task for task, offset in offsets.items() if offset < 0]:
        what = f"{path} lacks {len(missing)} of the chosen tasks, the first is task {missing[0]}"
        raise ConfigError(Mistake(what, "tasks_jsonl_fpath", fix="name the task file that was collected"))
    for line in lines_at(path, offsets.values()):
        row = decoded(line)
        yield orjson.dumps({key: row[key] for key in row if key not in (TASK_INDEX_KEY, ROLLOUT_INDEX_KEY)})
