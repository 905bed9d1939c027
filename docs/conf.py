"""Sphinx configuration: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import nemo_gym

project = "NeMo Gym"
author = "The NeMo Gym contributors"
version = release = nemo_gym.__version__
extensions = ["myst_parser", "sphinx_design", "sphinx_copybutton", "reference_pages"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"NeMo Gym {version}"
html_theme_options = {"navigation_with_keys": True}
nitpicky = True
