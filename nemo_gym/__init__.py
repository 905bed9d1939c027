"""NeMo Gym: environments for language-model agents as model, resources and agent servers."""

import importlib
import os
from pathlib import Path
from typing import Any

__version__ = "0.1.0"  # the one place: pyproject.toml reads it from here

PARENT_DIR = Path(__file__).resolve().parent.parent
"""The folder that holds `nemo_gym/`; component folders are looked for here."""

ROOT_DIR = PARENT_DIR
"""Project root: another name for `PARENT_DIR`."""

CACHE_DIR: Path
"""Where servers keep what they download: `cache` in a checkout, below `NEMO_GYM_HOME` when installed. May not exist."""

RESULTS_DIR: Path
"""Where results go by default: `results`, in the same place as the cache. May not exist."""


_ROOMS = {"gym": "nemo_gym.in_process.gym", "to_dataframe": "nemo_gym.in_process.results"}


def __getattr__(name: str) -> Any:
    # Looked up when asked for: importing the package loads nothing, and reads neither the disk nor the environment.
    if name in _ROOMS:
        return getattr(importlib.import_module(_ROOMS[name]), name)
    if name not in ("CACHE_DIR", "RESULTS_DIR"):
        raise AttributeError(f"module 'nemo_gym' has no attribute '{name}'")
    is_checkout = (ROOT_DIR / "pyproject.toml").is_file()
    base = ROOT_DIR if is_checkout else Path(os.environ.get("NEMO_GYM_HOME") or Path.home() / ".nemo_gym")
    return base / name.removesuffix("_DIR").lower()
