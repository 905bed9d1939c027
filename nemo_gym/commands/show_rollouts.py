"""Rollouts on the console: a table of rewards, and conversations in full."""

from pathlib import Path

from nemo_gym.collections.line_file import read_lines
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.rollouts.summary import conversation_lines, last_message

MAX_ROWS = 20
_MESSAGE_CHARS = 70


def show_rollouts(path: Path, conversations: int) -> None:
    """Print the rewards of the first `MAX_ROWS` rollouts of a file, and the first `conversations` in full."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False, markup=False)
    table = Table("task", "repeat", "reward", "tool calls", "last message", box=None, header_style="bold")
    rows = [row for row, _ in zip(read_lines(path), range(MAX_ROWS), strict=False)]
    for row in sorted(rows, key=lambda row: (row[TASK_INDEX_KEY], row[ROLLOUT_INDEX_KEY])):
        calls = sum(item.get("type") == "function_call" for item in row["response"]["output"])
        message = " ".join(last_message(row).split())
        cut = message if len(message) <= _MESSAGE_CHARS else message[: _MESSAGE_CHARS - 1] + "…"
        index = (str(row[TASK_INDEX_KEY]), str(row[ROLLOUT_INDEX_KEY]))
        table.add_row(*index, f"{row['reward']:g}", str(calls), cut)
    console.print(table)
    for row in rows[:conversations]:
        console.print(f"\nrollout {row[TASK_INDEX_KEY]}-{row[ROLLOUT_INDEX_KEY]}")
        for line in conversation_lines(row):
            console.print(line)
    console.print()
