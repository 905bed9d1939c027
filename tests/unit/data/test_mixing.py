"""Mixing by weight and shuffling: shares, exactness, and the same order every time."""

import io
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.schema import DatasetConfig
from nemo_gym.data.prepare import shuffle
from nemo_gym.data.prepare.mixing import Share, check_weights, chosen, shares
from nemo_gym.data.prepare.shuffle import BUCKET_BYTES, random_key, write_shuffled


def dataset(weight: float | None, num_repeats: int = 1) -> ConfiguredDataset:
    config = DatasetConfig(name="a", type="train", jsonl_fpath="a.jsonl", weight=weight, num_repeats=num_repeats)
    return ConfiguredDataset("agent", config, Path("a.jsonl"), "a.yaml, key agent", ())


@pytest.mark.parametrize(
    ("sets", "sizes", "taken"),
    [
        pytest.param([dataset(None), dataset(None)], [10, 3], [10, 3], id="without-weights-all"),
        pytest.param([dataset(3), dataset(1)], [90, 90], [90, 30], id="three-to-one"),
        pytest.param([dataset(0.1), dataset(0.2)], [10, 10], [5, 10], id="fractions-are-exact"),
        pytest.param([dataset(1, 4), dataset(1)], [10, 80], [10, 40], id="repeats-are-rows"),
    ],
)
def test_shares_are_as_large_as_the_weights_allow(
    sets: list[ConfiguredDataset], sizes: list[int], taken: list[int]
) -> None:
    assert [share.taken for share in shares(sets, sizes)] == taken


def test_weights_are_given_to_all_datasets_of_a_type_or_to_none_and_want_a_seed() -> None:
    check_weights([dataset(None), dataset(None)], None)
    check_weights([dataset(1), dataset(2)], 0)
    with pytest.raises(ConfigError, match="has no weight"):
        check_weights([dataset(1), dataset(None)], 0)
    with pytest.raises(ConfigError, match="no seed"):
        check_weights([dataset(1), dataset(2)], None)


@given(st.integers(0, 60), st.integers(0, 60), st.integers())
def test_exactly_as_many_tasks_are_chosen_as_the_share_says(taken: int, more: int, seed: int) -> None:
    share = Share(available=taken + more, taken=taken)
    decisions = list(chosen(share, random.Random(seed)))
    assert (len(decisions), sum(decisions)) == (share.available, share.taken)


def shuffled(lines: list[bytes], seed: int, total_bytes: int, folder: Path) -> list[bytes]:
    rng, out = random.Random(seed), io.BytesIO()
    write_shuffled(((random_key(rng), line) for line in lines), out, total_bytes, folder)
    return out.getvalue().splitlines(keepends=True)


def test_the_order_depends_on_the_seed_and_not_on_the_number_of_buckets(tmp_path: Path) -> None:
    lines = [b"%d\n" % number for number in range(5_000)]
    one, many = (shuffled(lines, 7, size, tmp_path) for size in (0, 50 * BUCKET_BYTES))
    assert one == many
    assert one != shuffled(lines, 8, 0, tmp_path)
    assert Counter(one) == Counter(lines)
    assert list(tmp_path.iterdir()) == []


def test_repeats_of_a_task_stay_together(tmp_path: Path) -> None:
    out, rng = io.BytesIO(), random.Random(1)
    tasks = [(random_key(rng), b"%d\n" % number) for number in range(100)]
    write_shuffled([task for task in tasks for _ in range(3)], out, 3 * shuffle.BUCKET_BYTES, tmp_path)
    lines = out.getvalue().splitlines()
    assert [lines[i : i + 3] for i in range(0, 300, 3)] == [[line] * 3 for line in lines[::3]]
