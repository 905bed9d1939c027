"""Tasks: the rows of a JSONL file, read one at a time; and whether a folder of them is fit to be shared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.paths import find_file

AGENT_REF_KEY = "agent_ref"
PARAMS_KEY = "responses_create_params"


@dataclass(frozen=True)
class Task:
    """One task row. `mistake` says why a row is none; such a task fails without being sent.

    Attributes:
        index: Row in the input, from 0 (blank lines are not rows).
        line_number: Line of the file, from 1.
        line: The row as it was written.
    """

    index: int
    line_number: int
    line: bytes

    def row(self) -> dict[str, Any]:
        """Return the decoded row; raises ValueError with what is wrong and on which line."""
        try:
            row = orjson.loads(self.line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"line {self.line_number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {self.line_number} is a JSON {type(row).__name__}, not an object")
        if not isinstance(row.get(PARAMS_KEY), dict):
            raise ValueError(f"line {self.line_number} lacks {PARAMS_KEY} (an object with `input`)")
        if "input" not in row[PARAMS_KEY]:
            raise ValueError(f"line {self.line_number} lacks {PARAMS_KEY}.input")
        if not isinstance(row.get(AGENT_REF_KEY), dict | None):
            raise ValueError(f"line {self.line_number} has an {AGENT_REF_KEY} that is no object {{type, name}}")
        return row


def read_tasks(path: Path, limit: int | None = None) -> Iterator[Task]:
    """Yield the tasks of a file in order, at most `limit`. The file is read as it is needed."""
    index = 0
    with path.open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            if limit is not None and index >= limit:
                return
            if line.strip():
                yield Task(index, line_number, line.strip())
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


def check_task_file(path: Path) -> None:
    """Raise ConfigError for a task file that is missing, unreadable or empty."""
    where = "input_jsonl_fpath"
    if not path.is_file():
        what = f"no such task file: {path}" if not path.exists() else f"{path} is a folder, not a task file"
        raise ConfigError(Mistake(what, where=where, fix="name a JSONL file, one task per line"))
    try:
        first = next(read_tasks(path, limit=1), None)
    except OSError as error:
        raise ConfigError(Mistake(f"cannot read {path}: {error.strerror}", where=where)) from error
    if first is None:
        raise ConfigError(Mistake(f"{path} holds no task", where=where, fix="one JSON object per line"))


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
    for path in sorted(folder.glob("*.jsonl")):
        for task in read_tasks(path):
            try:
                task.row()
            except ValueError as error:
                mistakes.append(Mistake(str(error), where=str(path)))
    count = sum(1 for _ in read_tasks(example))
    if count < EXAMPLES_WANTED:
        mistakes.append(Mistake(f"{count} example tasks, {EXAMPLES_WANTED} are wanted", where=str(example)))
    return mistakes
