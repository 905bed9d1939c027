"""The folder of one run on the host: the caller's files, and where the program works at level `rlimits`."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Scratch:
    """Paths of one run; `inputs` and `work` lie inside `root`, which only its owner can enter."""

    root: Path

    @property
    def inputs(self) -> Path:
        """What the caller gave; the stage copies it to where the program works."""
        return self.root / "inputs"

    @property
    def work(self) -> Path:
        """The program's working folder at level `rlimits`."""
        return self.root / "work"


def new_scratch() -> Scratch:
    """Make an empty scratch folder, mode 0700, in the system's temporary folder."""
    scratch = Scratch(Path(tempfile.mkdtemp(prefix="nemo-gym-sandbox-")))
    for folder in (scratch.inputs, scratch.work):
        folder.mkdir()
        folder.chmod(0o755)
    return scratch


def write_inputs(scratch: Scratch, files: Mapping[str, bytes | str]) -> None:
    """Write the caller's files; text as UTF-8.

    Raises:
        ValueError: A name is absolute, empty, or leads out of the folder.
    """
    for name, content in files.items():
        path = scratch.inputs / checked_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    for path in scratch.inputs.rglob("*"):
        # The program runs as another user where it can, whatever umask this process has.
        path.chmod(0o755)


def checked_name(name: str) -> PurePosixPath:
    """Return the relative path that a file name stands for; ValueError where it leaves the folder."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"sandbox file name must be relative, without '..': {name!r}")
    return path
