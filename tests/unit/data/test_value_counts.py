"""Counting values in bounded memory gives what counting them all in memory gives."""

import random
import statistics
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.data.prepare.metrics import statistics as statistics_of
from nemo_gym.data.prepare.value_counts import MAX_IN_MEMORY, SpillFile, ValueCounts


def counts_of(values: list[float]) -> ValueCounts:
    counts = ValueCounts("d", SpillFile())
    for value in values:
        counts.add(value)
    return counts


@given(st.lists(st.integers(min_value=0, max_value=20).map(float)))
def test_values_are_counted_in_order(values: list[float]) -> None:
    counts = counts_of(values)
    assert list(counts.items()) == sorted(Counter(values).items())
    assert (counts.total, counts.distinct) == (len(values), len(set(values)))


def test_more_values_than_fit_are_counted_as_exactly() -> None:
    rng = random.Random(1)
    values = [rng.randrange(3 * MAX_IN_MEMORY) / 4 for _ in range(6 * MAX_IN_MEMORY)]
    counts = counts_of(values)
    assert list(counts.items()) == sorted(Counter(values).items())


def test_absorbed_counts_are_added() -> None:
    first, second = counts_of([1.0, 2.0] * MAX_IN_MEMORY), counts_of(list(map(float, range(MAX_IN_MEMORY + 1))))
    first.absorb(second)
    assert first.total == 3 * MAX_IN_MEMORY + 1
    assert dict(first.items())[2.0] == MAX_IN_MEMORY + 1


@given(st.lists(st.floats(min_value=-1000, max_value=1000), min_size=2))
def test_statistics_agree_with_the_standard_library(values: list[float]) -> None:
    found = statistics_of(counts_of(values))
    for name, exact in (
        ("Average", statistics.fmean(values)),
        ("Median", statistics.median(values)),
        ("Standard deviation", statistics.stdev(values)),
        ("Min", min(values)),
        ("Max", max(values)),
    ):
        assert abs(found[name] - exact) <= 0.0051, name


def test_statistics_of_nothing_are_zero_and_of_one_value_have_no_deviation() -> None:
    assert set(statistics_of(counts_of([])).values()) == {0}
    assert statistics_of(counts_of([0.12345]))["Standard deviation"] == 0.0
    assert statistics_of(counts_of([0.12345]))["Average"] == 0.123  # three decimals below 1
    assert statistics_of(counts_of([7.12345]))["Average"] == 7.12
