"""Rollouts on the console: a table of rewards, and conversations in full."""

from itertools import islice
from pathlib import Path

from nemo_gym.collections.reading.reader import CollectionReader, StoredRollout
from nemo_gym.rollouts.summary import conversation_lines, last_message, output_items

MAX_ROWS = 20
_MESSAGE_CHARS = 70


def show_rollouts(path: Path, conversations: int) -> None:
    """Print the rewards of the first `MAX_ROWS` rollouts of a file, and the first `conversations` in full."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False, markup=False)
    table = Table("task", "repeat", "reward", "tool calls", "last message", box=None, header_style="bold")
    reader = CollectionReader(path)
    for rollout in sorted(islice(reader.rollouts(), MAX_ROWS), key=_place):
        row = rollout.row
        calls = sum(item.get("type") == "function_call" for item in output_items(row))
        message = " ".join(last_message(row).split())
        cut = message if len(message) <= _MESSAGE_CHARS else message[: _MESSAGE_CHARS - 1] + "…"
        table.add_row(*map(str, _place(rollout)), f"{rollout.reward or 0.0:g}", str(calls), cut)
    console.print(table)
    for rollout in islice(reader.rollouts(), conversations):
        task, repeat = _place(rollout)
        console.print(f"\nrollout {task}-{repeat}")
        for line in conversation_lines(rollout.row):
            console.print(line)
    console.print()


def _place(rollout: StoredRollout) -> tuple[int, int]:
    return rollout.task_index or 0, rollout.rollout_index or 0
