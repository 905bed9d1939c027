"""Resolve `${...}`, and say what has no value: `???` and interpolations of missing keys."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from nemo_gym.config.errors import Mistake, closest
from nemo_gym.config.reading.merged import KeyPath, MergedConfig, dotted

_MISSING = "???"
_MISSING_KEY = re.compile(r"Interpolation key '([^']+)' not found")
_MISSING_VARIABLE = re.compile(r"Environment variable '([^']+)' not found")


@dataclass(frozen=True)
class Finding:
    """A mistake and the values it makes unusable. Where all of them are in servers, the run can go on without those."""

    mistake: Mistake
    paths: tuple[KeyPath, ...]


@dataclass
class Resolved:
    """Plain values without interpolations. What can't be resolved is left out (in a list: None) and listed."""

    values: dict[str, Any] = field(repr=False)  # may hold secrets
    left_out: set[KeyPath] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def resolve(merged: MergedConfig) -> Resolved:
    """Resolve every interpolation once; each missing key is one finding, however often it is used."""
    try:
        return Resolved(_resolved(merged.values))
    except OmegaConfBaseException:
        pass  # now the slow way, value by value, to find all that is wrong
    problems = dict(_problems(merged.values))
    remaining = copy.deepcopy(merged.values)
    for path in problems:
        _remove(remaining, path)
    return Resolved(_resolved(remaining), set(problems), _findings(problems, merged))


def as_literal(values: Any) -> Any:
    """Return a deep copy in which `${` is escaped, so that OmegaConf gives resolved text back as it is."""
    if isinstance(values, dict):
        return {key: as_literal(item) for key, item in values.items()}
    if isinstance(values, list):
        return [as_literal(item) for item in values]
    if isinstance(values, str) and "${" in values:
        return re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + r"\${", values)
    return values


def interpolated_names(values: Any) -> set[str]:
    """Return the top-level keys that interpolations anywhere in `values` refer to."""
    texts = [text for _, text in leaves(values, ()) if isinstance(text, str)]
    return {name for text in texts for name in re.findall(r"\$\{\s*([\w\-]+)", text)}


def leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every value that isn't a container, with its path below `path`."""
    if not isinstance(value, dict | list):
        yield path, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(item, (*path, key))


def _resolved(values: dict[str, Any]) -> dict[str, Any]:
    config = OmegaConf.create(values)
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


def _remove(values: Any, path: KeyPath) -> None:
    *above, last = path
    for key in above:
        values = values[key]
    if isinstance(values, list):
        values[cast(int, last)] = None  # the places of the other items stay
    else:
        del values[last]


def _problems(values: dict[str, Any]) -> Iterator[tuple[KeyPath, OmegaConfBaseException]]:
    """Each value that can't be resolved, with the reason."""
    readable = copy.deepcopy(values)
    for path, value in leaves(values, ()):
        try:
            OmegaConf.create({"value": value})
        except OmegaConfBaseException as error:
            _remove(readable, path)
            yield path, error
    config = OmegaConf.create(readable)
    for path, value in leaves(readable, ()):
        try:
            node: Any = config
            for key in path if isinstance(value, str) else ():
                node = node[key]
        except OmegaConfBaseException as error:
            yield path, error


def _findings(problems: dict[KeyPath, OmegaConfBaseException], merged: MergedConfig) -> list[Finding]:
    used_by: dict[str, list[KeyPath]] = {}
    findings = []
    for path, error in problems.items():
        missing = _MISSING_KEY.search(str(error))
        if isinstance(error, MissingMandatoryValue):
            findings.append(Finding(_no_value(path, merged), (path,)))
        elif missing:
            used_by.setdefault(missing.group(1), []).append(path)
        elif not isinstance(error, InterpolationToMissingValueError):  # there the ??? itself is the finding
            findings.append(Finding(_unreadable(path, error, merged), (path,)))
    keys = [Finding(_no_key(name, paths, merged), tuple(paths)) for name, paths in used_by.items()]
    return [*findings, *keys]


def _no_value(path: KeyPath, merged: MergedConfig) -> Mistake:
    return Mistake(f"{dotted(path)} has no value yet ({_MISSING})", merged.where(*path), fix=_how_to_set(dotted(path)))


def _no_key(name: str, paths: list[KeyPath], merged: MergedConfig) -> Mistake:
    where = merged.where(*paths[0])
    if len(paths) > 1:
        where += f", and {len(paths) - 1} more"
    values = [str(key) for key, value in merged.values.items() if not isinstance(value, dict)]  # no servers
    match = closest(name, values, cutoff=0.75)
    fix = f"did you mean '{match}'? Or " if match else ""
    return Mistake(f"{name} is needed and not set", where, fix=fix + _how_to_set(name))


def _how_to_set(name: str) -> str:
    return f"set {name} in env.yaml or on the command line: +{name}=..."


def _unreadable(path: KeyPath, error: OmegaConfBaseException, merged: MergedConfig) -> Mistake:
    where = merged.where(*path)
    variable = _MISSING_VARIABLE.search(str(error))
    if variable:
        return Mistake(
            f"environment variable {variable.group(1)} is not set", where, fix=f"export {variable.group(1)}=..."
        )
    if "Recursive interpolation" in str(error):
        return Mistake(
            f"{dotted(path)} refers to itself", where, fix="give one of the keys in the circle a plain value"
        )
    if isinstance(error, GrammarParseError):
        return Mistake(f"{dotted(path)} has a broken ${{...}}", where, fix="close it, or write \\${ for a literal ${")
    reason = str(error).splitlines()[0]
    return Mistake(f"{dotted(path)} can't be resolved: {reason}", where, fix="write ${key}, or \\${ for a literal ${")
