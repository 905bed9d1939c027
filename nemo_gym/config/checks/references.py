"""References between servers: any value `{type, name}` must name an instance of that kind."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nemo_gym.config.checks.blocks import Block
from nemo_gym.config.errors import Mistake, closest, did_you_mean
from nemo_gym.config.keys import KINDS
from nemo_gym.config.paths import component_configs
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import KeyPath, MergedConfig, dotted

_TYPO_CUTOFF = 0.8


@dataclass(frozen=True)
class Reference:
    """One server's reference to another.

    Attributes:
        kind: Kind of the other server.
        name: Its instance name.
        key: Dotted key inside the settings of the reference, e.g. "model_server".
    """

    kind: str
    name: str
    key: str


def references(block: Block) -> tuple[Reference, ...]:
    """Return what the settings of a block refer to, in order."""
    found = _mentions(block.settings, ())
    return tuple(Reference(str(item["type"]), str(item["name"]), dotted(path)) for path, item in found)


def check_references(blocks: Iterable[Block], kinds: Mapping[str, str | None], merged: MergedConfig) -> list[Finding]:
    """Return every reference to a server that doesn't exist or is of another kind.

    Args:
        blocks: The servers whose references are checked.
        kinds: Kind of every instance by name; None where the block is too broken to tell.
        merged: Says where a key was set.
    """
    return [
        Finding(mistake, ((*block.path, *path),))
        for block in blocks
        for path, item in _mentions(block.settings, ())
        for mistake in [_check(item, (*block.path, *path), kinds, merged)]
        if mistake
    ]


def _mentions(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    if isinstance(value, dict):
        if _is_reference(value):
            yield path, value
            return
        for key, item in value.items():
            yield from _mentions(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mentions(item, (*path, index))


def _is_reference(value: dict[str, Any]) -> bool:
    """`type` names a kind; or a misspelt one, where `type` and `name` are the only keys."""
    kind = value.get("type")
    if "name" not in value or not isinstance(kind, str):
        return False
    return kind in KINDS or (len(value) == 2 and closest(kind, KINDS, cutoff=_TYPO_CUTOFF) is not None)


def _check(
    item: dict[str, Any], path: KeyPath, kinds: Mapping[str, str | None], merged: MergedConfig
) -> Mistake | None:
    kind, name = item["type"], str(item["name"])
    if kind not in KINDS:
        what = f"'{kind}' isn't a kind of server"
        return Mistake(what, merged.where(*path, "type"), KINDS, did_you_mean(kind, KINDS))
    where = merged.where(*path, "name")
    known = sorted(other for other, its_kind in kinds.items() if its_kind in (kind, None))
    if name not in kinds:
        fix = did_you_mean(name, known) or _where_to_find(name, kind)
        return Mistake(f"no server named '{name}'", where, known, fix)
    if kinds[name] not in (kind, None):
        fix = did_you_mean(name, known) or f"name one of the {kind}, or write type: {kinds[name]}"
        return Mistake(f"server '{name}' is one of the {kinds[name]}, not of the {kind}", where, known, fix)
    return None


def _where_to_find(name: str, kind: str) -> str:
    files = [path for path in component_configs(defining=name) if path.startswith(f"{kind}/")]
    such_as = f", such as {', '.join(files)}" if files else ""
    return f"add a configuration file that defines '{name}' to config_paths{such_as}"
