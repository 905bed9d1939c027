"""Install the trainers that the tests in this folder run, outside the repository.

    python -m tests.training.setup_training

About 5 GB under $NEMO_GYM_TRAINING_HOME, by default ~/.cache/nemo_gym_training: an environment with TRL and PyTorch for
CPUs, and the folder of a tiny model with random weights. A step that is done isn't repeated; one that was interrupted
is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("trl==1.16.0", "datasets==5.2.0", "transformers==5.19.0", "accelerate==1.15.0")
OVERRIDES = ("torch==2.13.0",)
LEAST_FREE_BYTES = 8 * 2**30
INSTALL_BOUND_S = 3600
_HERE = Path(__file__).parent
_MODEL_SOURCES = (_HERE / "build_model.py", _HERE / "chat_template.jinja")


@dataclass(frozen=True)
class TrainingHome:
    """Where the trainers are installed."""

    folder: Path

    @classmethod
    def from_environment(cls) -> "TrainingHome":
        """Return the place that NEMO_GYM_TRAINING_HOME names, or the one in the user's cache."""
        return cls(Path(os.environ.get("NEMO_GYM_TRAINING_HOME", "~/.cache/nemo_gym_training")).expanduser())

    @property
    def python(self) -> Path:
        """The Python that has the trainers."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def model(self) -> Path:
        """The folder of the tiny model and its tokenizer."""
        return self.folder / "model"

    @property
    def is_ready(self) -> bool:
        """Whether everything is there as this version of the tests wants it."""
        return all(_is_done(self._marker(name), stamp) for name, stamp in self._stamps().items())

    def install(self) -> None:
        """Do the steps that aren't done.

        Raises:
            subprocess.CalledProcessError: A step failed; its output was shown.
            OSError: Less than 8 GiB are free.
        """
        stamps = self._stamps()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not _is_done(self._marker("venv"), stamps["venv"]):
            self._install_packages()
            self._marker("venv").write_text(stamps["venv"])
        if not _is_done(self._marker("model"), stamps["model"]):
            shutil.rmtree(self.model, ignore_errors=True)
            _run([self.python, _HERE / "build_model.py", self.model])
            self._marker("model").write_text(stamps["model"])

    def _install_packages(self) -> None:
        if not self.python.exists() and (free := shutil.disk_usage(self.folder).free) < LEAST_FREE_BYTES:
            raise OSError(f"{free / 2**30:.1f} GiB are free in {self.folder}, the trainers want 8 GiB")
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        overrides = self.folder / "overrides.txt"
        overrides.write_text("\n".join(OVERRIDES))
        if not self.python.exists():
            _run([uv, "venv", "--python", sys.executable, self.folder / "venv"])
        _run([uv, "pip", "install", "--python", self.python, "--override", overrides, *PACKAGES])

    def _marker(self, step: str) -> Path:
        return self.folder / f".{step}.done"

    def _stamps(self) -> dict[str, str]:
        sources = b"".join(path.read_bytes() for path in _MODEL_SOURCES)
        return {"venv": "\n".join((*PACKAGES, *OVERRIDES)), "model": hashlib.sha256(sources).hexdigest()}


def _is_done(marker: Path, stamp: str) -> bool:
    return marker.is_file() and marker.read_text() == stamp


def _run(command: Sequence[str | Path]) -> None:
    subprocess.run([str(part) for part in command], check=True, timeout=INSTALL_BOUND_S)


if __name__ == "__main__":
    home = TrainingHome.from_environment()
    home.install()
    print(f"trainers are ready in {home.folder}")
