"""What makes a collection the same one when it is started again: its tasks, and the settings that shape it."""

import contextlib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from nemo_gym.config.keys import KINDS
from nemo_gym.config.secrets import is_secret_key, mask_secrets

ROW_DIGEST_BYTES = 4
_TASKS_DIGEST_BYTES = 16
_PLACES = {
    "host",
    "bind_host",
    "port",
    "num_workers",
    "ray_enabled",
    "name",
    "entrypoint",
    "datasets",
    "verified",
    "description",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


@dataclass(frozen=True)
class TaskSet:
    """The tasks of an input, as far as a collection has to remember them.

    Attributes:
        count: How many there are.
        digest: BLAKE2b over all rows, 32 hexadecimal digits: tells whether anything changed.
        row_digests: BLAKE2b of each row, 4 bytes each: tells which rows changed.
        fields: Every field name of every row.
    """

    count: int
    digest: str
    row_digests: bytes
    fields: frozenset[str]


def read_task_set(rows: Iterable[bytes]) -> TaskSet:
    """Return the task set of rows as they were written; memory is 4 bytes a row."""
    whole = hashlib.blake2b(digest_size=_TASKS_DIGEST_BYTES)
    row_digests = bytearray()
    fields: set[str] = set()
    for row in rows:
        digest = hashlib.blake2b(row, digest_size=_TASKS_DIGEST_BYTES).digest()
        whole.update(digest)
        row_digests += digest[:ROW_DIGEST_BYTES]
        # A row that can't be decoded will be a failure of its own, with its line number.
        with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            fields.update(_FIELDS.decode(row))
    count = len(row_digests) // ROW_DIGEST_BYTES
    return TaskSet(count, whole.hexdigest(), bytes(row_digests), frozenset(fields))


def changed_rows(before: bytes, after: bytes) -> list[int]:
    """Return the indices at which two `row_digests` differ, as far as both go."""
    size = min(len(before), len(after))
    if before[:size] == after[:size]:
        return []
    starts = range(0, size, ROW_DIGEST_BYTES)
    return [at // ROW_DIGEST_BYTES for at in starts if before[at : at + 4] != after[at : at + 4]]


def shaping_settings(
    agent_name: str | None, params: Mapping[str, Any], server_config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings that shape an outcome, flat, by dotted key: no addresses, no keys, no places.

    Args:
        agent_name: Agent of every row, or None.
        params: Create parameters that override each row's.
        server_config: Configuration of the run.
    """
    return {
        "agent_name": agent_name,
        **_all_of("responses_create_params", mask_secrets(dict(params))),
        **_server_settings(mask_secrets(dict(server_config))),
    }


def is_server(block: Any) -> bool:
    """Tell whether a value of a run's configuration is a server instance."""
    return isinstance(block, Mapping) and any(kind in block for kind in KINDS)


def _server_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, block in config.items():
        if is_server(block):
            flat |= _flat(str(name), block)
    return flat


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        flat: dict[str, Any] = {}
        is_reference = set(value) == {"type", "name"}
        for key, inner in value.items():
            if is_reference or not (key in _PLACES or is_secret_key(str(key))):
                flat |= _flat(f"{prefix}.{key}", inner)
        return flat
    if _is_url(value) or (isinstance(value, list) and value and all(map(_is_url, value))):
        return {}
    return {prefix: value}


def _all_of(prefix: str, value: Any) -> dict[str, Any]:
    """What the policy is sent: nothing in it is an address or a key of ours."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {path: leaf for key, inner in value.items() for path, leaf in _all_of(f"{prefix}.{key}", inner).items()}


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and _URL.fullmatch(value) is not None
