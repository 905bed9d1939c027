"""Install the trainers that the tests in this folder run, outside the repository.

    python -m tests.training.setup_training

About 5 GB under $NEMO_GYM_TRAINING_HOME, by default ~/.cache/nemo_gym_training: an environment with TRL and PyTorch for
CPUs, and the folder of a tiny model with random weights. A step that is done isn't repeated; one that was interrupted
is.
"""

import shutil
from pathlib import Path

from tests.installed_home import InstalledHome, run_step

_HERE = Path(__file__).parent


class TrainingHome(InstalledHome):
    """Where the trainers are installed."""

    variable = "NEMO_GYM_TRAINING_HOME"
    packages = ("trl==1.16.0", "datasets==5.2.0", "transformers==5.19.0", "accelerate==1.15.0")
    overrides = ("torch==2.13.0",)
    model_sources = (_HERE / "build_model.py", _HERE / "chat_template.jinja")
    least_free_bytes = 8 * 2**30

    @property
    def model(self) -> Path:
        """The folder of the tiny model and its tokenizer."""
        return self.folder / "model"

    def build_models(self) -> None:
        """Make the tiny model."""
        shutil.rmtree(self.model, ignore_errors=True)
        run_step([self.python, _HERE / "build_model.py", self.model])


if __name__ == "__main__":
    home = TrainingHome.from_environment()
    home.install()
    print(f"trainers are ready in {home.folder}")
