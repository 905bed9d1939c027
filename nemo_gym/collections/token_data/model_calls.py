"""The model calls of a rollout with their token arrays as text, of which nothing is parsed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from nemo_gym.wire.token_arrays import put_back_arrays, take_out_arrays

PROMPT_IDS, SAMPLED_IDS, LOG_PROBS = "prompt_token_ids", "generation_token_ids", "generation_log_probs"
_ABSENT = (b"", b"null")


class _Item(msgspec.Struct):
    type: Any = "message"
    role: Any = None
    prompt_token_ids: Raw = Raw()
    generation_token_ids: Raw = Raw()
    generation_log_probs: Raw = Raw()
    weight_versions: Any = None

    @property
    def is_input(self) -> bool:
        """Tell whether the model was given it: a tool's result, or a message of somebody else."""
        kind = str(self.type)
        return kind.endswith(("_output", "_response")) or (
            kind == "message" and self.role in ("user", "system", "developer")
        )


class _Response(msgspec.Struct):
    output: list[_Item]


class _Row(msgspec.Struct):
    response: _Response


_ROWS = msgspec.json.Decoder(_Row)


@dataclass(frozen=True)
class ModelCall:
    """One model call of a rollout.

    Attributes:
        number: From 1.
        arrays: Its token arrays by name, each as the JSON text that stands under its key; those that are there.
        weight_versions: Which weights sampled which of its generated tokens, as the engine said; None: it didn't.
    """

    number: int
    arrays: dict[str, bytes]
    weight_versions: Any = None


class _Data(NamedTuple):
    arrays: dict[str, bytes]
    weight_versions: Any = None


def model_calls(line: bytes) -> list[ModelCall]:
    """Return the model calls of a rollout row, in order; none where it has no list of output items.

    An item with token data ends its call, and so does what the model is given next. Items that repeat the arrays of
    the item before them belong to the same call.

    Args:
        line: The row as it is written.
    """
    text, arrays = take_out_arrays(line)
    try:
        items = _ROWS.decode(text).response.output
    except msgspec.DecodeError:  # a verifier may leave the response out, or put anything there
        return []
    found = (None if item.is_input else _Data(_arrays_of(item, arrays), item.weight_versions) for item in items)
    return [ModelCall(number, *of_call) for number, of_call in enumerate(_by_call(found), start=1)]


def _arrays_of(item: _Item, arrays: dict[bytes, memoryview]) -> dict[str, bytes]:
    raw_by_name = {name: bytes(getattr(item, name)) for name in (PROMPT_IDS, SAMPLED_IDS, LOG_PROBS)}
    return {name: put_back_arrays(raw, arrays) for name, raw in raw_by_name.items() if raw not in _ABSENT}


def _by_call(items: Iterable[_Data | None]) -> Iterator[_Data]:
    """Yield the data of each call; None in `items` is what the model was given."""
    last: dict[str, bytes] = {}
    has_open_call = False
    for data in items:
        arrays = None if data is None else data.arrays
        if data is not None and arrays:
            if arrays != last:
                yield data
        elif arrays is None and has_open_call:
            yield _Data({})
        has_open_call = arrays == {}
        last = arrays or {}
    if has_open_call:
        yield _Data({})
