"""Is a folder of task files fit to be shared? Every row readable, enough examples."""

from pathlib import Path

from nemo_gym.config.errors import Mistake
from nemo_gym.rollouts.task import read_tasks

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
