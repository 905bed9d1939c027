"""Tasks: the rows of a JSONL file, read one at a time; and whether a folder of them is fit to be shared."""

import codecs
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.paths import find_file

AGENT_REF_KEY = "agent_ref"
PARAMS_KEY = "responses_create_params"
MAX_NESTING = 246
"""Levels of objects and lists in a row, beyond which no server can pass it on."""


@dataclass(frozen=True)
class Task:
    """One task row, not decoded yet: a row that isn't a task fails without being sent.

    Attributes:
        index: Row in the input, from 0 (blank lines are not rows).
        line_number: Line of the file, from 1.
        line: The row as it was written.
    """

    may_have_reward: ClassVar[bool] = False

    index: int
    line_number: int
    line: bytes

    def row(self) -> dict[str, Any]:
        """Return the decoded row; raises ValueError with what is wrong and on which line."""
        try:
            row = orjson.loads(self.line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"line {self.line_number} isn't valid JSON: {error.msg} (column {error.colno})") from error
        mistake = self._mistake_in(row)
        if mistake is not None:
            raise ValueError(f"line {self.line_number} {mistake}")
        return row  # type: ignore[no-any-return]

    def _mistake_in(self, row: Any) -> str | None:
        if not isinstance(row, dict):
            return f"is a JSON {type(row).__name__}, not an object"
        params = row.get(PARAMS_KEY)
        if not isinstance(params, dict):
            return f"lacks {PARAMS_KEY} (an object with `input`)"
        if "input" not in params:
            return f"lacks {PARAMS_KEY}.input"
        if not isinstance(params["input"], str | list):
            return f"has a {PARAMS_KEY}.input that is neither text nor a list of items"
        if not isinstance(params.get("tools"), list | None):
            return f"has {PARAMS_KEY}.tools that aren't a list"
        if not isinstance(row.get(AGENT_REF_KEY), dict | None):
            return f"has an {AGENT_REF_KEY} that isn't an object {{type, name}}"
        if "reward" in row and not self.may_have_reward:
            return "already has a reward, so it's a rollout and not a task (ng_reverify scores rollouts again)"
        return self._nesting_mistake(row)

    def _nesting_mistake(self, row: dict[str, Any]) -> str | None:
        if self.line.count(b"{") + self.line.count(b"[") <= MAX_NESTING:
            return None
        try:
            orjson.dumps([[[[[[[[row]]]]]]]])  # it can't write deeper than 254; servers on the way wrap the row
        except orjson.JSONEncodeError:
            return f"is nested too deeply: more than {MAX_NESTING} levels"
        return None


def read_tasks(path: Path, limit: int | None = None) -> Iterator[Task]:
    """Yield the tasks of a file in order, at most `limit`. The file is read as it is needed.

    A byte order mark before the first task is left out.
    """
    index = 0
    with path.open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            if limit is not None and index >= limit:
                return
            text = (line.removeprefix(codecs.BOM_UTF8) if line_number == 1 else line).strip()
            if text:
                yield Task(index, line_number, text)
                index += 1


def agent_of(row: dict[str, Any]) -> str | None:
    """Return the name of the agent that a row names, or None."""
    name = (row.get(AGENT_REF_KEY) or {}).get("name")
    return name if isinstance(name, str) else None


def find_task_file(path: Path) -> Path:
    """Return where a task file is: here, in the project root, or beside the installed package; else as given."""
    try:
        return find_file(path) or path
    except OSError:  # a name that is too long, say: `check_task_file` reports it
        return path


_WHAT_IT_IS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


def check_task_file(path: Path) -> None:
    """Raise ConfigError for a task file that is missing, unreadable, empty, or not a file that can be read twice."""
    where, fix = "input_jsonl_fpath", "name a JSONL file, one task per line"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # before it is opened: a pipe would block, and a device may never end
            kind = next((name for is_one, name in _WHAT_IT_IS if is_one(mode)), "not a regular file")
            raise ConfigError(Mistake(f"{path} is {kind}, not a task file", where=where, fix=fix))
        first = next(read_tasks(path, limit=1), None)
    except FileNotFoundError as error:
        raise ConfigError(Mistake(f"no such task file: {path}", where=where, fix=fix)) from error
    except OSError as error:
        raise ConfigError(Mistake(f"cannot read {path}: {error.strerror}", where=where)) from error
    if first is None:
        raise ConfigError(Mistake(f"{path} holds no task", where=where, fix="write one JSON object per line"))


def with_params(row: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with its create parameters overridden, key by key at the top level."""
    return {**row, PARAMS_KEY: {**row[PARAMS_KEY], **overrides}} if overrides else row


EXAMPLES_WANTED = 5


def data_mistakes(folder: Path) -> list[Mistake]:
    """Return what is wrong with the task files in a component's `data/` folder; empty when nothing is."""
    example = folder / "example.jsonl"
    if not example.is_file():
        return [Mistake(f"no {example.name}", where=str(folder), fix=f"add {EXAMPLES_WANTED} example tasks")]
    mistakes = []
    for path in sorted(path for path in folder.glob("*.jsonl") if not path.stem.endswith("_rollouts")):
        for task in read_tasks(path):
            try:
                task.row()
            except ValueError as error:
                mistakes.append(Mistake(str(error), where=str(path)))
    count = sum(1 for _ in read_tasks(example))
    if count < EXAMPLES_WANTED:
        mistakes.append(Mistake(f"{count} example tasks, {EXAMPLES_WANTED} are wanted", where=str(example)))
    return mistakes
