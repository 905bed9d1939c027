"""Tasks as a table, and one task with its group of rollouts."""

import math
from collections.abc import Iterable, Sequence

import msgspec
from pydantic import BaseModel

from nemo_gym.collections.line_file import DamagedFileError, decoded
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.table import FAILED, MASKED, SCORED, RolloutTable
from nemo_gym.viewer.pages.listing import ListedRollout, listed
from nemo_gym.viewer.pages.query import QueryError
from nemo_gym.viewer.rollout.conversation import Item, Part, as_text, items_of, last_message, shortened
from nemo_gym.viewer.rollout.page import known_fields

_PREVIEW_CHARS = 160
_ANSWER_CHARS = 4_000
_KNOWN_CHARS = 5_000
_MAX_GROUP = 64
SORTS = ("task", "mean_reward", "spread", "rollouts", "solved", "failed", "masked", "steps", "output_tokens")


class TaskLine(BaseModel):
    """One task in the table. `spread`: standard deviation of its rewards; `solved` of `scored` rollouts."""

    task: int
    rollouts: int
    scored: int
    solved: int
    failed: int
    masked: int
    mean_reward: float | None
    spread: float | None
    steps: float | None
    output_tokens: float | None
    prompt: str = ""


class TaskTable(BaseModel):
    """A page of the table."""

    total: int
    tasks: list[TaskLine]


class GroupMember(BaseModel):
    """One repeat, beside the others."""

    rollout: ListedRollout
    answer: Part


class TaskPage(BaseModel):
    """A task: its prompt, what the verifier knows, and its group; `before`, `after`: the tasks beside it.

    `rows`: how many rows of the task file it is, from row `task` on.
    """

    task: int
    rows: int
    line: TaskLine
    prompt: list[Item]
    known: dict[str, Part]
    group: list[GroupMember]
    before: int | None
    after: int | None


def task_table(
    follower: Follower, numbers: Sequence[int], sort: str, offset: int, limit: int, *, descending: bool
) -> TaskTable:
    """Return a page of the tasks that rollouts belong to; raises QueryError for an unknown order."""
    by_task, threshold = _by_task(follower.table, numbers), follower.pass_threshold
    lines = [_line(follower.table, task, of_task, threshold) for task, of_task in by_task.items()]
    if sort and sort not in SORTS:
        raise QueryError(f"tasks can't be sorted by '{sort}'; there are {', '.join(SORTS)}")
    lines.sort(key=lambda line: line.task)
    if sort and sort != "task":
        known = [line for line in lines if getattr(line, sort) is not None]
        known.sort(key=lambda line: getattr(line, sort), reverse=descending)
        lines = known + [line for line in lines if getattr(line, sort) is None]
    elif descending:
        lines.reverse()
    page = lines[offset : offset + limit]
    for line in page:
        line.prompt = _preview(follower, line.task, by_task[line.task])
    return TaskTable(total=len(lines), tasks=page)


def task_page(follower: Follower, row_index: int) -> TaskPage | None:
    """Return the page of the task that a row of the task file is; None where it has neither a rollout nor was sent."""
    table = follower.table
    task, by_task = table.rows.first(row_index), _by_task(table, table.current())
    numbers = by_task.get(task, [])
    row = follower.task_rows.find(task) or _first_row(follower, numbers)
    if row is None:
        return None
    numbers.sort(key=lambda number: table.keys[number])
    prompt, _ = items_of({"responses_create_params": row.get("responses_create_params")}, 0, 100)
    return TaskPage(
        task=task,
        rows=table.rows.num_rows_of(task),
        line=_line(table, task, numbers, follower.pass_threshold),
        prompt=prompt,
        known={name: shortened(as_text(value), _KNOWN_CHARS) for name, value in known_fields(follower, row).items()},
        group=[_member(follower, number) for number in numbers[:_MAX_GROUP]],
        before=max((other for other in by_task if other < task), default=None),
        after=min((other for other in by_task if other > task), default=None),
    )


def _by_task(table: RolloutTable, numbers: Iterable[int]) -> dict[int, list[int]]:
    by_task: dict[int, list[int]] = {}
    for number in numbers:
        by_task.setdefault(table.task(number), []).append(number)
    return by_task


def _line(table: RolloutTable, task: int, numbers: list[int], pass_threshold: float) -> TaskLine:
    scored = [number for number in numbers if table.outcomes[number] == SCORED]
    rewards = [table.rewards[number] for number in scored]
    mean = math.fsum(rewards) / len(rewards) if rewards else None
    outcomes = [table.outcomes[number] for number in numbers]
    return TaskLine.model_construct(
        task=task,
        rollouts=len(numbers),
        scored=len(scored),
        solved=sum(reward >= pass_threshold for reward in rewards),
        failed=outcomes.count(FAILED),
        masked=outcomes.count(MASKED),
        mean_reward=mean,
        spread=None if mean is None else math.sqrt(math.fsum((r - mean) ** 2 for r in rewards) / len(rewards)),
        steps=_mean([table.counts["steps"][number] for number in scored]),
        output_tokens=_mean([table.counts["output_tokens"][number] for number in scored]),
        prompt="",
    )


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _member(follower: Follower, number: int) -> GroupMember:
    row = follower.table[number]
    try:
        content = decoded(follower.line(row))
    except (OSError, DamagedFileError):
        content = {}
    answer = last_message(content, _ANSWER_CHARS) or str(content.get("failure_reason") or "")
    return GroupMember(rollout=listed(follower, number), answer=shortened(answer, _ANSWER_CHARS))


def _preview(follower: Follower, task: int, numbers: Sequence[int]) -> str:
    row = follower.task_rows.find(task) or _first_row(follower, numbers)
    items, _ = items_of({"responses_create_params": (row or {}).get("responses_create_params")}, 0, 50, _PREVIEW_CHARS)
    asked = [item for item in items if item.role == "user"] or items
    return " ".join(part.text for part in asked[-1].parts)[:_PREVIEW_CHARS] if asked else ""


def _first_row(follower: Follower, numbers: Sequence[int]) -> dict[str, object] | None:
    for number in numbers:
        row = follower.table[number]
        if row.outcome != "failed":
            try:
                return decoded(follower.line(row))
            except (OSError, DamagedFileError, msgspec.DecodeError):
                return None
    return None
