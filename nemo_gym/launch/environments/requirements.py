"""What a component's folder asks for, whether this environment has it already, and what its process finds by name."""

import importlib.metadata
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nemo_gym import PARENT_DIR
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import KINDS

_OURS = "nemo-gym"
_COMMENT = re.compile(r"(^|\s)#.*$")
_CONTINUED = re.compile(r"\\\n")
_EDITABLE = ("-e", "--editable")


def requirements_of(folder: Path) -> list[str]:
    """Return the requirement lines of a server's `requirements.txt`, else of its `pyproject.toml`; without nemo-gym."""
    file = folder / "requirements.txt"
    if file.is_file():
        return _lines(file)
    project = folder / "pyproject.toml"
    if not project.is_file():
        return []
    declared = tomllib.loads(project.read_text()).get("project", {}).get("dependencies", [])
    return [line for line in declared if not _names_us(line)]


def is_installed(line: str) -> bool:
    """Tell whether this interpreter's environment satisfies one requirement line, its extras included.

    A line that only tells an installer where to look (`--extra-index-url ...`, `-c ...`) asks for nothing.
    """
    if line.startswith("-"):
        return not line.startswith(_EDITABLE)
    try:
        return _is_satisfied(Requirement(line.partition(" --")[0]), frozenset())  # without `--hash=...`
    except InvalidRequirement:
        return False  # a URL or a path: only an installer can tell


def installed_as(line: str) -> str | None:
    """Return what satisfies a requirement line in this interpreter's environment, as `name==version`; None: nothing."""
    if line.startswith("-") or not is_installed(line):
        return None
    name = Requirement(line.partition(" --")[0]).name
    with suppress(importlib.metadata.PackageNotFoundError):  # its marker is for another platform
        return f"{name}=={importlib.metadata.version(name)}"
    return None


def is_plain(line: str) -> bool:
    """Tell whether a line names packages of an index only, so that it means the same wherever it is read."""
    try:
        return Requirement(line).url is None
    except InvalidRequirement:
        return False


def _lines(file: Path) -> list[str]:
    found: list[str] = []
    for raw in _CONTINUED.sub(" ", file.read_text()).splitlines():
        line = _COMMENT.sub("", raw).strip()
        if not line or _names_us(line):
            continue
        if line.startswith(("-r ", "--requirement ")):
            nested = file.parent / line.split(maxsplit=1)[1]
            if not nested.is_file():
                raise ConfigError(Mistake(f"no such requirements file: {nested}", where=str(file)))
            found += _lines(nested)
        else:
            found.append(line)
    return found


def _names_us(line: str) -> bool:
    # Every environment gets the package of this run: a line such as `-e nemo-gym[dev] @ ../../` asks for nothing more.
    text = line.removeprefix("--editable").removeprefix("-e").strip(" =")
    name = re.match(r"[A-Za-z0-9._-]+", text)
    return name is not None and canonicalize_name(name.group()) == _OURS


def _is_satisfied(requirement: Requirement, extras: frozenset[str]) -> bool:
    if requirement.url:
        return False
    if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""}):
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(version, prereleases=True):
        return False
    wanted = frozenset(requirement.extras)
    return not wanted or all(
        _is_satisfied(needed, wanted)
        for needed in map(Requirement, importlib.metadata.requires(requirement.name) or [])
        if needed.marker and "extra" in str(needed.marker)
    )


def import_root(component: Path) -> Path:
    """Return the folder that a component is imported from: that with `resources_servers/`, else the one it lies in."""
    return component.parent.parent if component.parent.name in KINDS else component.parent


_SITE_FOLDERS = ("site-packages", "dist-packages")


def python_path(*components: Path) -> str:
    """Return PYTHONPATH for the folders of components: the roots that they are imported from first.

    The component folders are namespace packages, so those of the user's project and ours are found at once. A folder
    of installed packages never goes here: on PYTHONPATH it would come before what an environment of its own installed.
    """
    candidates = [*map(import_root, components), PARENT_DIR]
    roots = [str(root) for root in candidates if root.name not in _SITE_FOLDERS]
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join(dict.fromkeys([*roots, *inherited]))
