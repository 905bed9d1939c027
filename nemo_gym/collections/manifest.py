"""The manifest: what a collection is, so that a resume continues the same one and no other."""

import base64
import platform
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field

from nemo_gym.collections.identity import TaskSet, changed_rows, shaping_settings
from nemo_gym.config.keys import KINDS
from nemo_gym.config.paths import find_file

MANIFEST_VERSION: Literal[2] = 2


class ManifestChange(BaseModel):
    """A change that was accepted on a resume. `at`: seconds since the epoch."""

    at: float
    changes: list[str]


class Manifest(BaseModel):
    """The content of `<stem>_manifest.json`. Times in seconds since the epoch."""

    schema_version: Literal[2] = MANIFEST_VERSION
    num_tasks: int = Field(ge=0)
    num_repeats: int = Field(ge=1)
    settings: dict[str, Any] = Field(description="What shapes the outcome, by dotted key; no addresses, no keys.")
    code: dict[str, str | None] = Field(
        description="Digest of the code and requirements that each server runs; null: not known to the collector."
    )
    versions: dict[str, str]
    started_at: float
    history: list[ManifestChange] = Field(default=[], description="Changes that were accepted since.")
    tasks_digest: str = Field(description="BLAKE2b, 128 bits, over the digests of all task rows.")
    licenses: dict[str, str] = Field(
        default={}, description="License of each data set of the run that states one, by `<server>.<data set>`."
    )
    row_digests: str = Field(description="Base64: the first 4 bytes of each task row's BLAKE2b.")
    reverified_digests: str | None = Field(
        default=None,
        description="Of a reverification, whose rows are rollouts: `row_digests` of their tasks, as the manifest of "
        "the rollouts has them; empty: there is none.",
    )
    reverified_repeats: int | None = Field(
        default=None, ge=1, description="Of a reverification: `num_repeats` of the rollouts' manifest; null: not known."
    )

    def task_digests(self) -> bytes:
        """Return 4 bytes of each task row's BLAKE2b, by task index; empty when they aren't known."""
        return base64.b64decode(self.row_digests if self.reverified_digests is None else self.reverified_digests)

    @property
    def repeats_of_a_row(self) -> int:
        """Rollouts for each row of the task file, also of a reverification, whose own rows are rollouts."""
        return self.reverified_repeats or self.num_repeats


def make_manifest(
    tasks: TaskSet,
    *,
    num_repeats: int,
    agent_name: str | None,
    params: Mapping[str, Any],
    server_config: Mapping[str, Any],
    code: Mapping[str, str | None],
    input_path: Path | None = None,
) -> Manifest:
    """Return the manifest of a collection that starts now.

    `code` is the digest of each server's code, by its name; of `input_path` only the data set's license is wanted.
    """
    settings = shaping_settings(agent_name, params, server_config)
    return Manifest(
        num_tasks=tasks.count,
        num_repeats=num_repeats,
        # As they will be read back: a date, say, comes back as text.
        settings=orjson.loads(orjson.dumps(settings, default=str, option=orjson.OPT_NON_STR_KEYS)),
        code=dict(code),
        versions={"nemo-gym": version("nemo-gym"), "python": platform.python_version()},
        started_at=time.time(),
        tasks_digest=tasks.digest,
        licenses=dict(_licenses(server_config, input_path)),
        row_digests=base64.b64encode(tasks.row_digests).decode(),
    )


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Return in words what makes two manifests different collections; empty when they are the same one."""
    found = []
    for key in ("num_tasks", "num_repeats"):
        if getattr(old, key) != getattr(new, key):
            found.append(f"{key}: {getattr(old, key)} → {getattr(new, key)}")
    for key in sorted({*old.settings, *new.settings}):
        if old.settings.get(key) != new.settings.get(key):
            found.append(f"{key}: {old.settings.get(key)!r} → {new.settings.get(key)!r}")
    return found + _task_differences(old, new)


def code_differences(old: Manifest, new: Manifest) -> list[str]:
    """Return in words which servers' code has changed; code that either of the two lacks is left out."""
    return [
        f"code of {name}: {before[:8]} → {after[:8]}"
        for name, before in old.code.items()
        if before and (after := new.code.get(name)) and before != after
    ]


def with_accepted(old: Manifest, new: Manifest, changes: list[str]) -> Manifest:
    """Return the manifest of a collection that goes on with changed code."""
    accepted = ManifestChange(at=time.time(), changes=changes)
    seen = {name: digest for name, digest in new.code.items() if digest is not None}
    return old.model_copy(update={"code": {**old.code, **seen}, "history": [*old.history, accepted]})


def _licenses(server_config: Mapping[str, Any], input_path: Path | None) -> Iterator[tuple[str, str]]:
    """Yield the license of the data set that is the input; when it is none of them, of all that may be mixed in it."""
    stated = [
        (f"{name}.{dataset.get('name')}", str(dataset["license"]), dataset.get("jsonl_fpath"))
        for name, dataset in _datasets(server_config)
        if dataset.get("license")
    ]
    of_input = [each for each in stated if input_path is not None and _is_file(each[2], input_path)]
    yield from ((name, license) for name, license, _ in of_input or stated)


def _datasets(server_config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, block in server_config.items():
        kinds = [block[kind] for kind in KINDS if kind in block] if isinstance(block, Mapping) else []
        for settings in (each for kind in kinds if isinstance(kind, Mapping) for each in kind.values()):
            datasets = settings.get("datasets") if isinstance(settings, Mapping) else None
            yield from ((name, each) for each in datasets or [] if isinstance(each, Mapping))


def _is_file(named: Any, path: Path) -> bool:
    found = find_file(str(named)) if named else None
    return found is not None and path.exists() and found.samefile(path)


def _task_differences(old: Manifest, new: Manifest) -> list[str]:
    if old.tasks_digest == new.tasks_digest:
        return []
    rows = changed_rows(base64.b64decode(old.row_digests), base64.b64decode(new.row_digests))
    if not rows:
        return [] if old.num_tasks != new.num_tasks else ["task rows changed"]
    shown = ", ".join(map(str, rows[:5])) + (" …" if len(rows) > 5 else "")
    return [f"{len(rows)} task {'row' if len(rows) == 1 else 'rows'} changed (index {shown})"]
