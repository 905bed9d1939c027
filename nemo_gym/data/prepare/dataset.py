"""One dataset, read once: every row checked, measured, and written with its agent's name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedRandom
from typing import Any

from nemo_gym.collections.files import what_it_is
from nemo_gym.collections.tasks import Task, read_tasks
from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.data.prepare.metrics import TaskSetMetrics
from nemo_gym.data.prepare.rows import AgentNamer, EnvironmentNeeds, checked_row

MAX_MISTAKES_SHOWN = 20
"""Of one dataset; the rest is counted."""


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset without mistakes.

    Attributes:
        dataset: Its entry in the configuration.
        draft: Holds its rows, each `num_repeats` times in a row; not published yet.
        metrics: Of its rows, each counted once.
    """

    dataset: ConfiguredDataset
    draft: BufferedRandom
    metrics: TaskSetMetrics

    @property
    def num_rows(self) -> int:
        """Rows of the file, repeats not counted."""
        return self.metrics.num_rows

    def metrics_record(self) -> dict[str, Any]:
        """Return the content of `<stem>_metrics.json`."""
        config = self.dataset.config.model_dump(mode="json")
        known = ("name", "type", "jsonl_fpath", "num_repeats", "gitlab_identifier", "license")
        optional = ("huggingface_identifier", "weight")
        described = {key: config[key] for key in known} | {key: config[key] for key in optional if config[key]}
        return {**described, **self.metrics.as_dict()}


def prepare_dataset(
    dataset: ConfiguredDataset, environments: Sequence[EnvironmentNeeds], draft: BufferedRandom
) -> PreparedDataset:
    """Check, measure and write the rows of a dataset.

    Args:
        dataset: Its file exists.
        environments: What the rows are compared with.
        draft: Gets the rows.

    Raises:
        ConfigError: With file and line of each wrong row, at most `MAX_MISTAKES_SHOWN` of them and their number.
    """
    metrics, namer, mistakes, num_wrong = TaskSetMetrics(), AgentNamer(dataset.agent), list[Mistake](), 0
    for task in _tasks(dataset):
        try:
            row = checked_row(task, environments)
        except ValueError as error:
            num_wrong += 1
            if len(mistakes) < MAX_MISTAKES_SHOWN:
                mistakes.append(Mistake(str(error), where=str(dataset.path)))
            continue
        if not num_wrong:
            metrics.add(row)
            draft.write(namer.line(task) * dataset.config.num_repeats)
    if num_wrong > len(mistakes):
        mistakes.append(Mistake(f"{num_wrong - len(mistakes)} more rows are wrong", where=str(dataset.path)))
    if not mistakes and not metrics.num_rows:
        mistakes.append(Mistake(f"{dataset.path} holds no task", dataset.where, fix="write one JSON object per line"))
    if mistakes:
        raise ConfigError(*mistakes)
    draft.flush()
    return PreparedDataset(dataset, draft, metrics)


def _tasks(dataset: ConfiguredDataset) -> Iterator[Task]:
    try:
        kind = what_it_is(dataset.path)
        if kind != "a regular file":  # reading a pipe would block
            what = f"{dataset.path} is {kind}, not a task file"
            raise ConfigError(Mistake(what, dataset.where, fix="name a JSONL file, one task per line"))
        yield from read_tasks(dataset.path)
    except OSError as error:
        raise ConfigError(Mistake(f"cannot read {dataset.path}: {error.strerror}", where=dataset.where)) from error
