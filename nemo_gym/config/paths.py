"""Where relative paths lead: beside the configuration file that names them, the current folder, the project root.

"Beside a file" is its own folder, then the folder above it that holds components (`resources_servers/` and so on), at
most three levels up: so a component's configuration finds the component it lies in, wherever it is started from. The
component folders are next to `nemo_gym/` in a checkout and in an installation alike, so the project root is also the
place of what was installed. A component may also be a folder of its own anywhere, with its configurations in
`configs/`: these find it, and files are looked for in it, too.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from nemo_gym import PARENT_DIR
from nemo_gym.config.keys import KINDS, RESOURCES_KIND

CONFIGS_FOLDER = "configs"
_LEVELS_UP = 3  # <root>/<kind>/<implementation>/configs


def candidate_paths(path: str | Path, *, beside: Path | None = None) -> list[Path]:
    """Return every place where `path` is looked for, in order; an absolute path has one.

    Args:
        path: As a person wrote it; `~` is their home.
        beside: Folder of the configuration file that names `path`; None for a path from elsewhere.
    """
    wanted = Path(os.path.expanduser(path))
    if wanted.is_absolute():
        return [wanted]
    return [root / wanted for root in search_roots(beside)]


def search_roots(beside: Path | None = None) -> list[Path]:
    """Return the folders that relative paths start at, in order; `beside` as in `candidate_paths`."""
    near = [] if beside is None else [beside, *_own_folder(beside), *_component_root(beside)]
    return list(dict.fromkeys([*near, *_current_folder(), PARENT_DIR]))


def find_file(path: str | Path, *, beside: Path | None = None) -> Path | None:
    """Return the first existing file among `candidate_paths(path)`, or None."""
    return next((place for place in candidate_paths(path, beside=beside) if os.path.isfile(place)), None)


def find_component(
    kind: str, implementation: str, entrypoint: str | None = None, *, beside: Path | None = None
) -> Path | None:
    """Return the folder `<kind>/<implementation>`, or None.

    An environment's configuration means the folder that it lies in, where that has this name. Else the first folder
    that holds `entrypoint` wins over an earlier one that does not: a folder of the same name that only collects results
    must not hide the component.
    """
    places = candidate_paths(Path(kind) / implementation, beside=beside)
    folders = [place for place in places if os.path.isdir(place)]
    own = [folder for folder in _own_folder(beside) if folder.name == implementation and kind == RESOURCES_KIND]
    if own and entrypoint and os.path.isfile(own[0] / entrypoint):
        return own[0]
    whole = [folder for folder in folders if entrypoint and os.path.isfile(folder / entrypoint)]
    return next(iter(whole + folders), None)


def implementations(kind: str, *, beside: Path | None = None) -> list[str]:
    """Return the sorted names of the component folders of one kind."""
    folders = [folder for place in candidate_paths(kind, beside=beside) for folder in place.glob("*")]
    return sorted({folder.name for folder in folders if os.path.isdir(folder) and folder.name[0] not in "._"})


def component_configs(*, defining: str | None = None) -> list[str]:
    """Return the YAML files of all components (or those with this top-level key), relative to where they were found."""
    patterns = [f"{kind}/*/configs/*.y*ml" for kind in KINDS]
    found = [(root, file) for root in search_roots() for pattern in patterns for file in root.glob(pattern)]
    if defining is not None:
        key = re.compile(rf"^{re.escape(defining)}:".encode(), re.MULTILINE)
        found = [(root, file) for root, file in found if key.search(file.read_bytes())]
    return sorted({str(file.relative_to(root)) for root, file in found})


def shown(path: Path) -> str:
    """Return the path as a person reads it: relative when it is below the current folder."""
    return next((str(path.relative_to(here)) for here in _current_folder() if path.is_relative_to(here)), str(path))


def _own_folder(beside: Path | None) -> list[Path]:
    """Return the folder whose `configs/` is `beside`, if it is one."""
    return [beside.resolve().parent] if beside is not None and beside.name == CONFIGS_FOLDER else []


def _component_root(folder: Path) -> Iterator[Path]:
    """Yield the nearest folder at or above `folder` that holds components, if there is one."""
    folder = folder.resolve()
    for place in [folder, *folder.parents][: _LEVELS_UP + 1]:
        if any(os.path.isdir(place / kind) for kind in KINDS) and (place == folder or not _is_open_to_all(place)):
            yield place
            return


def _is_open_to_all(folder: Path) -> bool:
    """In a folder such as /tmp, anyone on this machine may put code that looks like a component."""
    return bool(folder.stat().st_mode & stat.S_IWOTH)


def _current_folder() -> list[Path]:
    try:
        return [Path.cwd()]
    except OSError:  # it was deleted
        return []
