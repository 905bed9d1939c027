"""Python environments of servers: the current one where it suffices, else one of their own.

An environment of its own is keyed by everything that shapes it, shared by servers that ask for the same, and found
again at once next time: `<home>/environments/<key>`.
"""

import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from nemo_gym import PARENT_DIR
from nemo_gym.launch.options import Isolate
from nemo_gym.launch.requirements import is_installed, is_plain, requirements_of
from nemo_gym.servers.run_record import home


@dataclass(frozen=True)
class Environment:
    """Where a server's interpreter is, and how to build that place.

    Attributes:
        python: The interpreter.
        folder: None for the current environment, which is never built.
        requirements: Lines for the installer.
        directory: The component's folder, which paths in the lines start from.
        version: Version or path of the interpreter to build with.
    """

    python: Path
    folder: Path | None = None
    requirements: tuple[str, ...] = ()
    directory: Path = Path()
    version: str = sys.executable

    @property
    def is_built(self) -> bool:
        """Tell whether the interpreter is there."""
        return self.folder is None or self.python.exists()


def environment_for(
    directory: Path, isolate: Isolate, python_version: str | None = None, also: Sequence[str] = ()
) -> Environment:
    """Decide which environment a component runs in; builds nothing.

    Args:
        directory: The component's folder.
        isolate: When to give it one of its own.
        python_version: For an environment of its own; None takes that of this process.
        also: Requirement lines beyond those of the component.

    Raises:
        ConfigError: Its requirements can't be read.
    """
    lines = [*requirements_of(directory), *also]
    if isolate == "never" or (isolate == "auto" and all(map(is_installed, lines))):
        return Environment(Path(sys.executable))
    requirements = (*lines, *_own_dependencies())
    version = str(python_version) if python_version else sys.executable
    shape = [version, sys.version, str(PARENT_DIR), *sorted(requirements), *_local_shape(lines, directory)]
    key = hashlib.sha256("\n".join(shape).encode()).hexdigest()[:20]
    folder = home() / "environments" / key
    return Environment(folder / "bin" / "python", folder, requirements, directory, version)


def _local_shape(lines: Iterable[str], directory: Path) -> list[str]:
    """Return what tells apart equal lines that name local files: the folder they start from, and the files' content."""
    words = [word.partition("[")[0] for line in lines if not is_plain(line) for word in re.split(r"[\s=]+", line)]
    paths = {word: directory / word for word in words if word and (directory / word).exists()}
    starts = {str(directory) for word in paths if not Path(word).is_absolute()}
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values() if path.is_file()]
    return [*starts, *files]


def _own_dependencies() -> list[str]:
    """Return what nemo_gym itself needs, at the versions of this environment: both ends speak the same."""
    needed = map(Requirement, importlib.metadata.requires("nemo-gym") or [])
    wanted = [r for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    return [f"{r.name}=={importlib.metadata.version(r.name)}" for r in wanted]
