"""What a task set is made of: rows, tools, turns, length of prompts, values of each field; in bounded memory."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from nemo_gym.collections.tasks import PARAMS_KEY
from nemo_gym.data.prepare.value_counts import SpillFile, ValueCounts

NUM_EXAMPLES = "Number of examples"
_TOOLS = "Number of tools"
_WORDS = "Json-dumped number of words (proxy for token count)"
_CHARACTERS = "Number of characters"
_TURNS = "Number of turns"
_TEMPERATURE = "Temperature"
_OF_PROMPTS = (_TOOLS, _WORDS, _CHARACTERS, _TURNS, _TEMPERATURE)
_NOT_FIELDS = frozenset({PARAMS_KEY, "response", "agent_ref"})
MAX_FIELDS = 1_000
"""Fields beyond these many names are not counted: rows that make up names can't fill the memory."""

# orjson's output has no spaces, and words are counted by them.
_dumped = json.JSONEncoder(ensure_ascii=False).encode


class TaskSetMetrics:
    """Numbers of one task set, or of several together."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._spill = SpillFile()
        self._of_prompts = {name: ValueCounts("d", self._spill) for name in _OF_PROMPTS}
        self._numbers: dict[str, ValueCounts] = {}
        self._texts: dict[str, ValueCounts] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one valid task row."""
        self.num_rows += 1
        params = row[PARAMS_KEY]
        text = _dumped(params)
        observed = {
            _TOOLS: None if params.get("tools") is None else len(params["tools"]),
            _WORDS: len(text.split()),
            _CHARACTERS: len(text),
            _TURNS: _num_turns(params["input"]) or None,
            _TEMPERATURE: params.get("temperature"),
        }
        for name, number in observed.items():
            if number is not None:
                self._of_prompts[name].add(float(number))
        for name, value in row.items():
            if name not in _NOT_FIELDS:
                self._add_field(name, value)

    def absorb(self, other: "TaskSetMetrics") -> None:
        """Take in all rows of another set, which must not get more afterwards."""
        self.num_rows += other.num_rows
        for name, counts in other._of_prompts.items():
            self._of_prompts[name].absorb(counts)
        for mine, others in ((self._numbers, other._numbers), (self._texts, other._texts)):
            for name, counts in others.items():
                if name in mine:
                    mine[name].absorb(counts)
                elif len(mine) < MAX_FIELDS:
                    mine[name] = counts

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as they are written: fields in the order of their names."""
        fields = {
            name: {**_statistics_of(self._numbers.get(name)), **_distinct_of(self._texts.get(name))}
            for name in sorted(self._numbers.keys() | self._texts.keys())
        }
        prompts = {name: statistics(counts) for name, counts in self._of_prompts.items()}
        return {NUM_EXAMPLES: self.num_rows, **prompts, **fields}

    def _add_field(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            self._counts(self._texts, name, "Q").add(int.from_bytes(digest))
        elif isinstance(value, bool | int | float):
            if math.isfinite(value):
                self._counts(self._numbers, name, "d").add(float(value))
        elif isinstance(value, list):
            for item in value:
                self._add_field(name, item)

    def _counts(self, by_name: dict[str, ValueCounts], name: str, typecode: Any) -> ValueCounts:
        counts = by_name.get(name)
        if counts is None:
            counts = ValueCounts(typecode, self._spill)
            if len(by_name) < MAX_FIELDS:
                by_name[name] = counts
        return counts


def statistics(counts: ValueCounts) -> dict[str, float]:
    """Return count, mean, least, greatest, median and sample standard deviation (n - 1); of nothing all are 0."""
    n = counts.total
    mean = math.fsum(value * count for value, count in counts.items()) / n if n else 0.0
    squares = math.fsum(count * (value - mean) ** 2 for value, count in counts.items())
    low, high, median = _order_statistics(counts, n)
    numbers = {
        "Average": mean,
        "Min": low,
        "Max": high,
        "Median": median,
        "Standard deviation": math.sqrt(squares / (n - 1)) if n > 1 else 0.0,
    }
    return {"Total # non-null values": n, **{name: _rounded(number) for name, number in numbers.items()}}


def _statistics_of(counts: ValueCounts | None) -> dict[str, float]:
    return statistics(counts) if counts is not None else {}


def _distinct_of(counts: ValueCounts | None) -> dict[str, int]:
    return {"unique_count": counts.distinct, "total_count": counts.total} if counts is not None else {}


def _order_statistics(counts: ValueCounts, n: int) -> tuple[float, float, float]:
    """Return the least, the greatest and the median value, which between two values is their mean."""
    if not n:
        return 0.0, 0.0, 0.0
    seen, value, low = 0, 0.0, None
    middle: list[float] = []
    wanted = [(n - 1) // 2, n // 2]
    for value, count in counts.items():
        low = value if low is None else low
        middle += [value for position in wanted if seen <= position < seen + count]
        seen += count
    return low or 0.0, value, (middle[0] + middle[1]) / 2


def _rounded(number: float) -> float:
    return round(number, 2 if abs(number) >= 1 else 3)


def _num_turns(prompt: Any) -> int:
    if isinstance(prompt, str):
        return 1
    return sum(1 for item in prompt if isinstance(item, dict) and item.get("role") == "user")
