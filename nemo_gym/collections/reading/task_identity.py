"""Which tasks of two collections are the same: those whose rows ask the same, at whatever index."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from nemo_gym.collections.line_file import decoded, iter_lines
from nemo_gym.collections.reading.paged_array import PagedArray
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.collections.records import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.collections.tasks import AGENT_REF_KEY, PARAMS_KEY

_NOT_THE_TASK = frozenset({TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, AGENT_REF_KEY, PARAMS_KEY})
_ASKED = frozenset({"input", "instructions", "prompt", "tools", "tool_choice", "text"})
"""Parameters that belong to a task; the others say how the policy is sampled."""
_OVERRIDES = f"{PARAMS_KEY}."


def task_keys(
    baseline: CollectionReader, candidate: CollectionReader, tasks: Sequence[Iterable[int]]
) -> tuple["array[int]", "array[int]"] | None:
    """Return a key for each task of two collections: two tasks with one key ask the same.

    A task is its row without the sampling parameters, the agent, and the parameters that either collection overrode.

    Args:
        baseline: A collection.
        candidate: The other one.
        tasks: Task indices of the first and of the second; of repeated rows the first.

    Returns:
        64 bits of BLAKE2b for each task, in its order; None where the files don't hold the row of each task.

    Raises:
        DamagedFileError: The materialized inputs hold something else.
    """
    readers = (baseline, candidate)
    asked = _ASKED.difference(*map(_overridden, readers))
    digests = [_digests(reader, asked) for reader in readers]
    first, second = (
        array("Q", (int(of[index]) for index in indices)) for of, indices in zip(digests, tasks, strict=True)
    )
    return (first, second) if all(first) and all(second) else None


def paired(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    """Return the places of equal keys in two lists, by the place in the first.

    Where a key is there several times, its first place is paired with the first of the other list, and so on.
    """
    pairs, by_key = [], sorted(range(len(second)), key=second.__getitem__)
    at = 0
    for place in sorted(range(len(first)), key=first.__getitem__):
        while at < len(by_key) and second[by_key[at]] < first[place]:
            at += 1
        if at < len(by_key) and second[by_key[at]] == first[place]:
            pairs.append((place, by_key[at]))
            at += 1
    return sorted(pairs)


def _overridden(reader: CollectionReader) -> frozenset[str]:
    manifest = reader.manifest()
    settings = manifest.settings if manifest is not None else {}
    return frozenset(key.split(".")[1] for key in settings if key.startswith(_OVERRIDES))


def _digests(reader: CollectionReader, asked: frozenset[str]) -> PagedArray:
    """Return the key of each task that was sent, by its index."""
    digests = PagedArray("Q")
    for line in iter_lines(reader.paths.materialized_inputs):
        row = decoded(line)
        task = row.get(TASK_INDEX_KEY)
        if isinstance(task, int) and task >= 0 and not digests[task]:  # else another repeat of one that is known
            digests[task] = _digest(row, asked)
    return digests


def _digest(row: dict[str, Any], asked: frozenset[str]) -> int:
    params = row.get(PARAMS_KEY)
    prompt = {key: params[key] for key in asked if params.get(key) is not None} if isinstance(params, dict) else params
    task = {key: value for key, value in row.items() if key not in _NOT_THE_TASK}
    text = orjson.dumps([prompt, task], option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1  # 0: no row
