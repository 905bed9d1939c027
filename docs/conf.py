"""Sphinx configuration: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import nemo_gym

project = "NeMo Gym"
author = "The NeMo Gym contributors"
version = release = nemo_gym.__version__
extensions = [
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "reference_pages",
    "api_pages",
    "licenses",
    "publishing",
    "sphinx_markdown_builder",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
html_theme = "furo"
html_favicon = "images/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_title = f"NeMo Gym {version}"
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
nitpicky = True
smartquotes_action = "D"  # dashes only: quotes and apostrophes stay as typed, in Markdown copies too
default_role = "code"  # docstrings have single backticks
autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init"}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
nitpick_ignore_regex = [("py:.*", ".*")]  # signatures name types of other packages, and internal ones
