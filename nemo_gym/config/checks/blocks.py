"""Which top-level values are server instances, and the parts of such a block."""

import re
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.config.errors import Mistake, closest, did_you_mean
from nemo_gym.config.keys import ENTRYPOINT_KEY_NAME, KINDS, RESERVED_KEYS
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import KeyPath, MergedConfig

_KIND_CUTOFF = 0.8
_MAX_NAME = 100
_NAME = re.compile(r"(?!\.)[!-~]+")
_NOT_IN_NAMES = frozenset('/\\;,="')
_EXAMPLE = "<instance>: {<kind>: {<implementation>: {entrypoint: app.py, ...}}}"


@dataclass(frozen=True)
class Block:
    """A server instance as written: `<name>: {<kind>: {<implementation>: <settings>}}`, resolved."""

    name: str
    kind: str
    implementation: str
    settings: dict[str, Any] = field(repr=False)  # may hold secrets

    @property
    def path(self) -> KeyPath:
        return (self.name, self.kind, self.implementation)


def looks_like_server(key: str, value: Any) -> bool:
    """Tell whether a top-level value is a server's block, valid or nearly so, and not a plain value."""
    if key in RESERVED_KEYS or not isinstance(value, dict):
        return False
    return any(_looks_like_kind(str(inner), item) for inner, item in value.items())


def read_block(name: str, value: dict[str, Any], merged: MergedConfig) -> Block | Finding:
    """Return the parts of a value that looks like a server, or what is wrong with its shape."""
    if not is_server_name(name):
        return Finding(_name_mistake(name, merged), ((name,),))
    kinds = [key for key in value if key in KINDS]
    others = [str(key) for key in value if key not in KINDS]
    if len(kinds) != 1 or others:
        return Finding(_kind_mistake(name, kinds, others, merged), ((name,),))
    kind = kinds[0]
    inner = value[kind]
    if not isinstance(inner, dict) or len(inner) != 1:
        return Finding(_implementation_mistake(name, kind, inner, merged), ((name, kind),))
    implementation, settings = next(iter(inner.items()))
    if not isinstance(settings, dict):
        what = f"server '{name}' has no settings below '{implementation}'"
        where = merged.where(name, kind, implementation)
        return Finding(Mistake(what, where, fix=f"write {_EXAMPLE}"), ((name, kind, implementation),))
    return Block(name, kind, str(implementation), settings)


def is_server_name(name: str) -> bool:
    """Tell whether a log file and a cookie can be named after a server of this name."""
    return len(name) <= _MAX_NAME and _NAME.fullmatch(name) is not None and not _NOT_IN_NAMES.intersection(name)


def _name_mistake(name: str, merged: MergedConfig) -> Mistake:
    shown = name if len(name) <= _MAX_NAME else f"{name[:20]}..."
    what = f"{shown!r} can't be the name of a server: its log file and its cookie are named after it"
    fix = f"use at most {_MAX_NAME} characters: letters, digits, _, - and ."
    where = merged.where(name)
    return Mistake(what, where.replace(name, shown) if shown != name else where, fix=fix)


def _looks_like_kind(key: str, value: Any) -> bool:
    if key in KINDS:
        return True
    if not isinstance(value, dict):
        return False
    if closest(key, KINDS, cutoff=_KIND_CUTOFF) or ENTRYPOINT_KEY_NAME in value:
        return True
    return any(isinstance(item, dict) and ENTRYPOINT_KEY_NAME in item for item in value.values())


def _kind_mistake(name: str, kinds: list[str], others: list[str], merged: MergedConfig) -> Mistake:
    if len(kinds) > 1:
        what = f"server '{name}' has {len(kinds)} kinds: {', '.join(kinds)}"
        return Mistake(what, merged.where(name), fix="give each its own instance name")
    where = merged.where(name, others[0])
    if not kinds:
        what = f"server '{name}' has the unknown kind '{others[0]}'"
        return Mistake(what, where, KINDS, did_you_mean(others[0], KINDS) or f"write {_EXAMPLE}")
    if closest(others[0], KINDS, cutoff=_KIND_CUTOFF):
        fix = f"write {kinds[0]}" if "server" in others[0] else did_you_mean(others[0], KINDS)
        return Mistake(f"server '{name}' has '{others[0]}' beside '{kinds[0]}'", where, KINDS, fix)
    what = f"server '{name}' has '{others[0]}' beside '{kinds[0]}'"
    return Mistake(what, where, fix=f"move it below the implementation: {name}.{kinds[0]}.<implementation>.{others[0]}")


def _implementation_mistake(name: str, kind: str, inner: Any, merged: MergedConfig) -> Mistake:
    where = merged.where(name, kind)
    if isinstance(inner, dict) and inner:
        names = ", ".join(map(str, inner))
        return Mistake(f"server '{name}' has {len(inner)} implementations: {names}", where, fix="keep one of them")
    return Mistake(f"server '{name}' has no implementation", where, fix=f"write {_EXAMPLE}")
