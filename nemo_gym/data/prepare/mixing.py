"""How many rows each dataset gives to a mixed set, and which."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.config.errors import ConfigError, Mistake


@dataclass(frozen=True)
class Share:
    """Of one dataset: `taken` of its `available` tasks."""

    available: int
    taken: int


def check_weights(datasets: Sequence[ConfiguredDataset], seed: int | None) -> None:
    """Raise ConfigError where some datasets of a type have a weight and others don't, or no seed is there to choose."""
    weighted = [dataset for dataset in datasets if dataset.config.weight is not None]
    if not weighted:
        return
    bare = [dataset for dataset in datasets if dataset.config.weight is None]
    if bare:
        what = f"dataset '{bare[0].config.name}' of {bare[0].agent} has no weight, and others of its type have one"
        raise ConfigError(Mistake(what, bare[0].where, fix="give every dataset of the type a weight, or none"))
    if seed is None:
        what = "datasets have weights, so rows are chosen at random, and there is no seed"
        raise ConfigError(Mistake(what, weighted[0].where, fix="+seed=0"))


def shares(datasets: Sequence[ConfiguredDataset], num_tasks: Sequence[int]) -> list[Share]:
    """Return what each dataset gives.

    Without weights that is everything. With weights the rows, repeats included, are in proportion to them, as many as
    there are without using any more often than its `num_repeats`: so one dataset is taken whole.
    """
    if any(dataset.config.weight is None for dataset in datasets):
        return [Share(n, n) for n in num_tasks]
    weights = [Fraction(str(dataset.config.weight)) for dataset in datasets]
    repeats = [dataset.config.num_repeats for dataset in datasets]
    rows_per_weight = min(n * r / w for n, r, w in zip(num_tasks, repeats, weights, strict=True))
    taken = [int(rows_per_weight * w / r) for w, r in zip(weights, repeats, strict=True)]
    return [Share(n, k) for n, k in zip(num_tasks, taken, strict=True)]


def chosen(share: Share, rng: random.Random) -> Iterator[bool]:
    """Tell of each task in order whether it is taken: exactly `share.taken` are, every choice equally likely.

    Source:
        Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S.
    """
    needed = share.taken
    for left in range(share.available, 0, -1):
        is_taken = rng.random() * left < needed
        needed -= is_taken
        yield is_taken
