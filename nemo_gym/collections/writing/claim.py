"""Before anything is written, cut or moved: do the files that are there belong to this collection?"""

from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from nemo_gym.collections.files import OutputPaths, holds_something
from nemo_gym.collections.line_file import is_whole
from nemo_gym.collections.manifest import MANIFEST_VERSION, Manifest, code_differences, differences, with_accepted
from nemo_gym.collections.records import TASK_INDEX_KEY
from nemo_gym.config.errors import ConfigError, Mistake

_WHERE = "output_jsonl_fpath"
_ANEW = "+overwrite=true starts anew and moves the old files aside"
_SHOWN_DIFFERENCES = 10
_MAX_FIRST_LINE = 256 * 2**20


def manifest_to_write(paths: OutputPaths, new: Manifest, *, accepts_changed_code: bool) -> Manifest | None:
    """Check that a collection may be begun or continued here; reads only.

    Returns:
        The manifest to write before work begins; None when the one that is there stands as it is.

    Raises:
        ConfigError: What is there belongs to no collection, or to a different one, or is damaged.
    """
    old = _read_manifest(paths.manifest)
    if old is None:
        _refuse_without_manifest(paths)
        return new
    _refuse(_foreign(paths))
    found = differences(old, new)
    if found:
        what = f"the output belongs to a different collection:{_listed(found)}"
        raise ConfigError(Mistake(what, where=str(paths.manifest), fix=f"{_ANEW}; or name another {_WHERE}"))
    changes = code_differences(old, new)
    if not changes:
        return None
    if not accepts_changed_code:
        what = f"the code of a server has changed, so old and new rewards may not be comparable:{_listed(changes)}"
        fix = "ng_reverify scores the old rollouts with the new code; +accept_changed_code=true goes on and records it"
        raise ConfigError(Mistake(what, where=str(paths.manifest), fix=fix))
    return with_accepted(old, new, changes)


def check_may_be_moved(paths: OutputPaths) -> None:
    """Raise ConfigError when a file that would be moved aside was written by no collector; reads only."""
    if holds_something(paths.manifest):
        if "num_repeats" in _object(paths.manifest):
            return  # what is beside it is ours too, however damaged
        if not paths.manifest.read_bytes().startswith(b"{") or _object(paths.manifest):
            _refuse(paths.manifest)
    _refuse(_foreign(paths))


def _refuse_without_manifest(paths: OutputPaths) -> None:
    present = [path for path in paths.all() if holds_something(path)]
    if not present:
        return
    _refuse(_foreign(paths))
    what = f"{present[0]} holds rows, but has no manifest: it is not known what they belong to"
    raise ConfigError(Mistake(what, where=str(paths.manifest), fix="+overwrite=true moves it aside"))


def _read_manifest(path: Path) -> Manifest | None:
    if not holds_something(path):
        return None
    try:
        content = orjson.loads(path.read_bytes())
        if isinstance(content, dict) and content.get("schema_version") != MANIFEST_VERSION:
            was = content.get("schema_version", "none")
            what = f"the manifest has schema_version {was}, and this version of nemo-gym reads {MANIFEST_VERSION}"
            raise ConfigError(Mistake(what, where=str(path), fix=f"{_ANEW}; or name another {_WHERE}"))
        return Manifest.model_validate(content)
    except (orjson.JSONDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        what = f"the manifest is damaged, or isn't one: {reason}"
        raise ConfigError(Mistake(what, where=str(path), fix=f"{_ANEW}; or name another {_WHERE}")) from error


def _foreign(paths: OutputPaths) -> Path | None:
    """Return the first file whose beginning no collector would have written; None when there is no such file."""
    marks = {
        paths.rollouts: "reward",
        paths.failures: "failure_kind",
        paths.journal: "event",
        paths.unverified: "verify_request",
        paths.materialized_inputs: TASK_INDEX_KEY,
    }
    for path, mark in marks.items():
        if holds_something(path) and not _begins_with(path, mark):
            return path
    if holds_something(paths.metrics) and "expected" not in _object(paths.metrics):
        return paths.metrics
    return None


def _begins_with(path: Path, mark: str) -> bool:
    with path.open("rb") as file:
        line = file.readline(_MAX_FIRST_LINE)
    if is_whole(line):
        return mark in orjson.loads(line)
    # A collector that was killed while it wrote its first line leaves no more than the beginning of one.
    return line.startswith(b"{") and not line.endswith(b"\n")


def _object(path: Path) -> dict[str, Any]:
    try:
        content = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _refuse(foreign: Path | None) -> None:
    if foreign is not None:
        fix = "name another output file, or move this one away yourself"
        raise ConfigError(Mistake(f"{foreign} was not written by a collector", where=_WHERE, fix=fix))


def _listed(found: list[str]) -> str:
    more = len(found) - _SHOWN_DIFFERENCES
    lines = [*found[:_SHOWN_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])]
    return "".join(f"\n    {line}" for line in lines)
