"""The page's files in one: its modules joined into a script, its style sheets into a sheet; no build step needed.

The modules keep to a small part of the language, which the patterns below read: `import { a, b as c } from "./x.js";`
on one line, and `export` before a function or a constant.
"""

import posixpath
import re
from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"

_IMPORT = re.compile(r'^import \{ ([^}]+) \} from "(\./[\w./-]+|\.\./[\w./-]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|let|class) (\w+)", re.MULTILINE)


def joined_modules(folder: Path, entry: str) -> str:
    """Return a script that does what importing a module does.

    Args:
        folder: Where the modules are.
        entry: Name of the first one in it.

    Raises:
        ValueError: A module imports or exports in a way that isn't understood, or two import each other.
    """
    done: dict[str, str] = {}
    _add(folder, entry, done, ())
    return '"use strict";\nconst modules = {};\n' + "".join(done.values())


def joined_sheets() -> str:
    """Return the style sheets that the page links to, in its order."""
    page = (STATIC / "index.html").read_text()
    names = re.findall(r'<link rel="stylesheet" href="/static/([\w./-]+)">', page)
    return "".join((STATIC / name).read_text() for name in names)


def _add(folder: Path, name: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"{name} imports itself by way of {', '.join(above)}")
    if name in done:
        return
    source = (folder / name).read_text()
    for _, path in _IMPORT.findall(source):
        _add(folder, _resolved(name, path), done, (*above, name))
    done[name] = _as_function(name, source)


def _as_function(name: str, source: str) -> str:
    names = [exported for _, exported in _EXPORT.findall(source)]
    body = _IMPORT.sub(lambda match: _bound(name, match[1], match[2]), source)
    body = _EXPORT.sub(r"\1 \2", body)
    left = re.search(r"^(import|export)\b.*$", body, re.MULTILINE)
    if left is not None:
        raise ValueError(f"{name}: can't be joined into one script: {left[0]}")
    return f"modules[{name!r}] = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


def _bound(name: str, names: str, path: str) -> str:
    return f"const {{ {names.replace(' as ', ': ')} }} = modules[{_resolved(name, path)!r}];"


def _resolved(name: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
