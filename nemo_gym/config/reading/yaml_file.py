"""A YAML file found, and its text as plain data; or the mistake in it with file, line and column."""

import errno
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.paths import candidate_paths, shown
from nemo_gym.config.reading.limits import TextSize, size_mistake
from nemo_gym.config.secrets import MASK, is_secret_key, mask_text

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_LINE_SHOWN = 120
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_KEY = re.compile(r"\s*-?\s*[\"']?([\w.\-]+)[\"']?\s*:")


class _Loader(_SafeLoader):  # type: ignore[misc]  # the base is chosen at run time
    """YAML as OmegaConf reads it: `1e3` is a number, dates stay text, a key twice in a mapping is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in getattr(node, "value", ()):
            if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' appears twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\d[\d_]*)(?:\.[\d_]*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_trusted_yaml(text: str) -> Any:
    """Return what our own processes wrote as YAML: the safe loader, the fast one where it is built; no checks.

    Raises:
        yaml.YAMLError: The text isn't valid YAML.
    """
    return yaml.load(text, _SafeLoader)


def find_yaml_file(path: str | Path, *, beside: Path | None = None) -> Path | None:
    """Return the first existing file among `candidate_paths(path)`, or None.

    Raises:
        ConfigError: It can't be told whether a file is there.
    """
    for place in candidate_paths(path, beside=beside):
        try:
            if stat.S_ISREG(os.stat(place).st_mode):
                return place
        except ValueError:  # a NUL, which no file name has
            continue
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:  # a folder that may not be entered, a loop of symbolic links
                raise _unreadable(place, error) from error
    return None


def read_yaml_file(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        ConfigError: The file can't be read, isn't valid YAML, or holds something other than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Mistake(f"{shown(path)} isn't UTF-8 text", fix="save it as UTF-8")) from error
    return parse_yaml(text, shown(path))


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Return the mapping in a YAML text; `source` is what mistakes call it.

    Raises:
        ConfigError: The text isn't valid YAML, is nested too deeply or expands to too much, or holds something other
            than a mapping.
    """
    try:
        _check_size(text, source)
        values = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_mistake(error, text, source)) from None  # the cause quotes the text, secrets too
    if values is None:
        return {}
    if not isinstance(values, dict):
        what = f"{source} holds {_a(values)}, not a mapping of keys to values"
        raise ConfigError(Mistake(what, where=source, fix="write 'key: value' lines at the top level"))
    return values


def _unreadable(path: Path, error: OSError) -> ConfigError:
    """Return the error for a file that is there, or may be, and can't be read."""
    fix = "check the path, and the permissions of the file and of the folders above it"
    return ConfigError(Mistake(f"can't read {shown(path)}: {error.strerror}", fix=fix))


def _check_size(text: str, source: str) -> None:
    size = TextSize()
    for event in yaml.parse(text, _SafeLoader):
        problem = size.problem_at(event)
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(size_mistake(problem, source, f"{source}:{line}"))


def _syntax_mistake(error: yaml.YAMLError, text: str, source: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Mistake(f"{source} isn't valid YAML", where=source, fix="remove characters that aren't printable")
    problem = getattr(error, "problem", None) or "can't be parsed"
    where = f"{source}:{mark.line + 1}:{mark.column + 1}: {_shown_line(text.splitlines(), mark.line)}"
    return Mistake(f"{source} isn't valid YAML: {problem}", where=where.rstrip(": "), fix=_syntax_fix(problem))


def _syntax_fix(problem: str) -> str:
    if "twice" in problem:
        return "keep one of the two"
    if "mapping values" in problem:
        return "quote a value that contains ': ', and check the indentation"
    return "check quotes, brackets and indentation of this line and the one before"


def _shown_line(lines: list[str], number: int) -> str:
    """The line with the error, unless it or the one before (whose value it may continue) names a secret."""
    if number >= len(lines):
        return ""
    for line in reversed(lines[max(0, number - 1) : number + 1]):
        key = _KEY.match(line)
        if key and is_secret_key(key.group(1)):
            return f"{key.group(1)}: {MASK}"
    return mask_text(lines[number].strip())[:_MAX_LINE_SHOWN]


def _a(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"the single value {mask_text(repr(value))[:_MAX_LINE_SHOWN]}"
