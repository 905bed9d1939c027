"""NeMo Gym: environments for language-model agents as model, resources and agent servers."""

from pathlib import Path

PARENT_DIR = Path(__file__).resolve().parent.parent
"""Project root: the folder that holds `nemo_gym/`; component folders are looked for here."""
