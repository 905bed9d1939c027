"""The rows of several prepared datasets in one file: one after the other, or mixed and shuffled."""

import hashlib
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedRandom
from itertools import islice
from pathlib import Path
from typing import Any

from nemo_gym.data.prepare.dataset import PreparedDataset
from nemo_gym.data.prepare.metrics import TaskSetMetrics
from nemo_gym.data.prepare.mixing import Share, chosen, shares
from nemo_gym.data.prepare.shuffle import random_key, write_shuffled


@dataclass(frozen=True)
class Collation:
    """The set of one type.

    Attributes:
        path: Its file.
        parts: The datasets, and what each gave.
        seed: What it was shuffled with; None where it wasn't.
        sha256: Of the file, hexadecimal.
    """

    path: Path
    parts: tuple[tuple[PreparedDataset, Share], ...]
    seed: int | None
    sha256: str

    @property
    def num_rows(self) -> int:
        """Lines of the file, repeats counted."""
        return sum(share.taken * part.dataset.config.num_repeats for part, share in self.parts)

    def metrics_record(self) -> dict[str, Any]:
        """Return the content of `<type>_metrics.json`: metrics of all rows there are, and what was made of them.

        The datasets' own metrics are used up.
        """
        metrics = TaskSetMetrics()
        described = [_described(part, share) for part, share in self.parts]
        for part, _ in self.parts:
            metrics.absorb(part.metrics)
        prepared = {"rows": self.num_rows, "seed": self.seed, "sha256": self.sha256, "datasets": described}
        return {**metrics.as_dict(), "Prepared": prepared}


def collate(prepared: Sequence[PreparedDataset], seed: int | None, path: Path, out: BufferedRandom) -> Collation:
    """Write the rows of datasets of one type to `out`, the draft of `path`, in the order that `seed` decides."""
    datasets = [part.dataset for part in prepared]
    parts = tuple(zip(prepared, shares(datasets, [part.num_rows for part in prepared]), strict=True))
    if seed is None:
        for part, _ in parts:
            part.draft.seek(0)
            shutil.copyfileobj(part.draft, out, 1 << 20)
    else:
        lines = (line for part, share in parts for line in _keyed_lines(part, share, seed))
        write_shuffled(lines, out, sum(_size(part.draft) for part in prepared), path.parent)
    out.flush()
    out.seek(0)
    return Collation(path, parts, seed, hashlib.file_digest(out, "sha256").hexdigest())


def _keyed_lines(part: PreparedDataset, share: Share, seed: int) -> Iterator[tuple[int, bytes]]:
    config = part.dataset.config
    # One source of numbers for each dataset: another one beside it changes neither its choice nor its order.
    rng = random.Random(f"{seed}/{config.type}/{part.dataset.agent}/{config.name}")
    part.draft.seek(0)
    for is_taken in chosen(share, rng):
        lines = list(islice(part.draft, config.num_repeats))
        key = random_key(rng)
        if is_taken:
            yield from ((key, line) for line in lines)


def _size(file: BufferedRandom) -> int:
    return file.seek(0, 2)


def _described(part: PreparedDataset, share: Share) -> dict[str, Any]:
    config = part.dataset.config
    return {
        "name": config.name,
        "agent": part.dataset.agent,
        "jsonl_fpath": config.jsonl_fpath,
        "license": config.license,
        "num_repeats": config.num_repeats,
        "weight": config.weight,
        "tasks": share.available,
        "tasks_taken": share.taken,
    }
