"""Prepare every dataset in scope; nothing gets its name before all of it is right."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.drafts import Drafts
from nemo_gym.collections.files import write_json
from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.data.prepare.collation import Collation, collate
from nemo_gym.data.prepare.dataset import PreparedDataset, prepare_dataset
from nemo_gym.data.prepare.metrics_conflict import differences
from nemo_gym.data.prepare.options import PrepareOptions
from nemo_gym.data.prepare.rows import EnvironmentNeeds

NeedsOf = Callable[[ConfiguredDataset], Sequence[EnvironmentNeeds]]
"""Gives what the environments of a dataset ask of its rows."""


@dataclass
class Preparation:
    """Prepares the datasets in scope.

    Attributes:
        options: What is asked for.
        scope: The datasets, whose files exist.
        needs_of: What their rows are compared with.
        replaced: Metrics files whose recorded numbers were overwritten, filled in by `run`.
    """

    options: PrepareOptions
    scope: Sequence[ConfiguredDataset]
    needs_of: NeedsOf
    replaced: list[Path] = field(default_factory=list)

    def run(self) -> list[Collation]:
        """Write everything; return the set of each type.

        Raises:
            ConfigError: Rows are wrong, or numbers differ from those recorded. Beside metrics files that differ, the
                new numbers are in `<stem>_metrics_conflict.json`; otherwise nothing was written.
            OutputError: A file can't be written.
        """
        stems = dict(zip(map(id, self.scope), stems_of(self.scope), strict=True))
        self._check_outputs(list(stems.values()))
        with Drafts() as drafts:
            prepared = list(self._prepared(drafts, stems))
            self._record_metrics(drafts, prepared, stems)
            sets = [
                self._collated(drafts, kind, [part for part in prepared if part.dataset.config.type == kind])
                for kind in dict.fromkeys(part.dataset.config.type for part in prepared)
            ]
            drafts.publish()
        return sets

    def _check_outputs(self, stems: Sequence[Path]) -> None:
        inputs = {dataset.path.resolve() for dataset in self.scope}
        kinds = {dataset.config.type for dataset in self.scope}
        outputs = [self.options.output_dirpath / f"{kind}.jsonl" for kind in sorted(kinds)]
        outputs += [_beside(stem, "prepare.jsonl") for stem in stems]
        mistakes = [
            Mistake(
                f"{output} is also a dataset: it would be overwritten",
                where="output_dirpath",
                fix="name another folder, or another file for the dataset",
            )
            for output in outputs
            if output.resolve() in inputs
        ]
        if mistakes:
            raise ConfigError(*mistakes)

    def _prepared(self, drafts: Drafts, stems: dict[int, Path]) -> Iterator[PreparedDataset]:
        """Yield every dataset; raises ConfigError after all of them were read."""
        mistakes: list[Mistake] = []
        for dataset in self.scope:
            draft = drafts.open(_beside(stems[id(dataset)], "prepare.jsonl"))
            try:
                yield prepare_dataset(dataset, self.needs_of(dataset), draft)
            except ConfigError as error:
                mistakes += error.mistakes
        if mistakes:
            raise ConfigError(*mistakes)

    def _record_metrics(self, drafts: Drafts, prepared: Sequence[PreparedDataset], stems: dict[int, Path]) -> None:
        mistakes: list[Mistake] = []
        for part in prepared:
            path = _beside(stems[id(part.dataset)], "metrics.json")
            conflict_path = _beside(stems[id(part.dataset)], "metrics_conflict.json")
            now = part.metrics_record()
            recorded = _read_metrics(path)
            changes = [] if recorded is None else list(differences(recorded, now))
            if changes and not self.options.overwrite_metrics_conflicts:
                write_json(conflict_path, now)
                mistakes.append(_conflict(path, conflict_path, changes))
                continue
            conflict_path.unlink(missing_ok=True)
            if changes:
                self.replaced.append(path)
            if recorded is None or changes:
                drafts.open(path).write(_encoded(now))
        if mistakes:
            raise ConfigError(*mistakes)

    def _collated(self, drafts: Drafts, kind: str, prepared: Sequence[PreparedDataset]) -> Collation:
        path = self.options.output_dirpath / f"{kind}.jsonl"
        collation = collate(prepared, self.options.seed, path, drafts.open(path))
        metrics = drafts.open(path.with_name(f"{kind}_metrics.json"), is_description=True)
        metrics.write(_encoded(collation.metrics_record()))
        return collation


def stems_of(datasets: Sequence[ConfiguredDataset]) -> list[Path]:
    """Return for each dataset the path, without ending, that the files beside it begin with.

    Where several agents name one file, all but the first have their names in it.
    """
    stems: list[Path] = []
    for dataset in datasets:
        stem = dataset.path.with_suffix("")
        if stem in stems:
            stem = stem.with_name(f"{stem.name}_{dataset.agent}_{dataset.config.name}")
        if stem in stems:
            what = f"dataset '{dataset.config.name}' of {dataset.agent} is listed twice"
            raise ConfigError(Mistake(what, dataset.where, fix="remove one of the entries; num_repeats repeats rows"))
        stems.append(stem)
    return stems


def _beside(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}_{name}")


def _read_metrics(path: Path) -> dict[str, Any] | None:
    try:
        recorded = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError) as error:
        fix = "delete it, and it is written anew"
        raise ConfigError(Mistake(f"cannot read recorded metrics: {error}", where=str(path), fix=fix)) from error
    if not isinstance(recorded, dict):
        raise ConfigError(Mistake("recorded metrics aren't a JSON object", where=str(path), fix="delete the file"))
    return recorded


def _conflict(path: Path, conflict_path: Path, changes: Sequence[str]) -> Mistake:
    what = f"the dataset isn't the one whose metrics are recorded: {'; '.join(changes)}"
    fix = f"restore the data; or +overwrite_metrics_conflicts=true accepts the new numbers ({conflict_path.name})"
    return Mistake(what, where=str(path), fix=fix)


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
