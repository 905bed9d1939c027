"""A folder outside the repository that tests install heavy packages and models into, step by step."""

import hashlib
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

INSTALL_BOUND_S = 3600


@dataclass(frozen=True)
class InstalledHome(ABC):
    """An environment with packages, and models made from sources; a step that is done isn't repeated.

    Attributes:
        folder: Where everything is.
    """

    variable: ClassVar[str]
    """Environment variable that names the folder; in ~/.cache the name is the same, in small letters, without HOME."""
    packages: ClassVar[tuple[str, ...]]
    overrides: ClassVar[tuple[str, ...]]
    model_sources: ClassVar[tuple[Path, ...]]
    least_free_bytes: ClassVar[int]

    folder: Path

    @classmethod
    def from_environment(cls) -> Self:
        """Return the place that the variable names, or the one in the user's cache."""
        default = f"~/.cache/{cls.variable.removesuffix('_HOME').lower()}"
        return cls(Path(os.environ.get(cls.variable, default)).expanduser())

    @property
    def python(self) -> Path:
        """The Python that has the packages."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def is_ready(self) -> bool:
        """Whether everything is there as this version of the tests wants it."""
        return all(self._is_done(name, stamp) for name, stamp in self._stamps().items())

    def install(self) -> None:
        """Do the steps that aren't done.

        Raises:
            subprocess.CalledProcessError: A step failed; its output was shown.
            OSError: There isn't enough room.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for step, stamp in self._stamps().items():
            if not self._is_done(step, stamp):
                self._install_packages() if step == "venv" else self.build_models()
                self._marker(step).write_text(stamp)

    @abstractmethod
    def build_models(self) -> None:
        """Make the models anew, from `model_sources`."""

    def _install_packages(self) -> None:
        if not self.python.exists():
            if (free := shutil.disk_usage(self.folder).free) < self.least_free_bytes:
                wanted = self.least_free_bytes / 2**30
                raise OSError(f"{free / 2**30:.1f} GiB are free in {self.folder}, {wanted:.0f} GiB are needed")
            run_step([_uv(), "venv", "--python", sys.executable, self.folder / "venv"])
        overrides = self.folder / "overrides.txt"
        overrides.write_text("\n".join(self.overrides))
        run_step([_uv(), "pip", "install", "--python", self.python, "--override", overrides, *self.packages])

    def _stamps(self) -> Mapping[str, str]:
        sources = b"".join(path.read_bytes() for path in self.model_sources)
        return {
            "venv": "\n".join((*self.packages, *self.overrides)),
            "models": hashlib.sha256(sources).hexdigest(),
        }

    def _marker(self, step: str) -> Path:
        return self.folder / f".{step}.done"

    def _is_done(self, step: str, stamp: str) -> bool:
        marker = self._marker(step)
        return marker.is_file() and marker.read_text() == stamp


def run_step(command: Sequence[str | Path]) -> None:
    """Run a command of the installation; raises subprocess.CalledProcessError."""
    subprocess.run([str(part) for part in command], check=True, timeout=INSTALL_BOUND_S)


def _uv() -> str:
    """Return uv: the one on the path, or the one that `make setup` put beside this Python."""
    return shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
