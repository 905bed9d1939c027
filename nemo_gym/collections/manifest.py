"""The manifest: what a collection is, so that a resume continues the same one and no other."""

import hashlib
import platform
import re
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.files import write_json
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import KINDS
from nemo_gym.config.secrets import is_secret_key, mask_secrets
from nemo_gym.rollouts.tasks import Task

_DIGEST_CHARS = 16
_SHOWN_DIFFERENCES = 10
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


def make_manifest(
    tasks: Iterable[Task],
    *,
    num_repeats: int,
    agent_name: str | None,
    params: Mapping[str, Any],
    server_config: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest of a collection. Digests are BLAKE2b over the bytes of each row, 64 bits."""
    digests = [hashlib.blake2b(task.line, digest_size=_DIGEST_CHARS // 2).hexdigest() for task in tasks]
    return {
        "schema_version": 1,
        "num_tasks": len(digests),
        "num_repeats": num_repeats,
        "settings": {
            "agent_name": agent_name,
            **_all_of("responses_create_params", mask_secrets(dict(params))),
            **_server_settings(mask_secrets(dict(server_config))),
        },
        "task_digests": "".join(digests),
        "versions": {"nemo-gym": version("nemo-gym"), "python": platform.python_version()},
        "started_at": time.time(),
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return in words what makes two manifests different collections; empty when they are the same one."""
    found = []
    for key in ("num_tasks", "num_repeats"):
        if old.get(key) != new.get(key):
            found.append(f"{key}: {old.get(key)} → {new.get(key)}")
    before, after = old.get("settings", {}), new.get("settings", {})
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            found.append(f"{key}: {before.get(key)!r} → {after.get(key)!r}")
    return found + _changed_tasks(old.get("task_digests", ""), new.get("task_digests", ""))


def continue_or_begin(path: Path, manifest: dict[str, Any]) -> bool:
    """Write the manifest of a new collection, or check that it continues the one that is there.

    Returns:
        True when an existing collection is continued.

    Raises:
        ConfigError: The one that is there is another; says exactly what differs.
    """
    if not path.exists():
        write_json(path, manifest)
        return False
    found = differences(_read(path), manifest)
    if found:
        shown = "\n    ".join(found[:_SHOWN_DIFFERENCES])
        more = f"\n    and {len(found) - _SHOWN_DIFFERENCES} more" if len(found) > _SHOWN_DIFFERENCES else ""
        what = f"the output belongs to a different collection:\n    {shown}{more}"
        fix = "+overwrite=true starts anew and moves the old files aside; or name another output_jsonl_fpath"
        raise ConfigError(Mistake(what, where=str(path), fix=fix))
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        fix = "+overwrite=true moves the old files aside"
        raise ConfigError(Mistake(f"the manifest is no JSON: {error}", where=str(path), fix=fix)) from error
    return manifest


def _changed_tasks(old: str, new: str) -> list[str]:
    rows = [i // _DIGEST_CHARS for i in range(0, min(len(old), len(new)), _DIGEST_CHARS) if _at(old, i) != _at(new, i)]
    if not rows:
        return []
    shown = ", ".join(map(str, rows[:5])) + (" …" if len(rows) > 5 else "")
    return [f"{len(rows)} task rows changed (index {shown})"]


def _at(digests: str, i: int) -> str:
    return digests[i : i + _DIGEST_CHARS]


def _server_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that shape an outcome: no addresses, no keys, nothing about where a server runs."""
    flat: dict[str, Any] = {}
    for name, block in config.items():
        if isinstance(block, Mapping) and any(kind in block for kind in KINDS):
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
