"""What a component's process finds by name: its own project's components and ours, side by side."""

import os
from pathlib import Path

from nemo_gym import PARENT_DIR

_SITE_FOLDERS = ("site-packages", "dist-packages")


def python_path(*components: Path) -> str:
    """Return PYTHONPATH for the folders of components: the roots that hold `resources_servers/` and the like first.

    The component folders are namespace packages, so those of the user's project and ours are found at once. A folder
    of installed packages never goes here: on PYTHONPATH it would come before what an environment of its own installed.
    """
    candidates = [*(component.parent.parent for component in components), PARENT_DIR]
    roots = [str(root) for root in candidates if root.name not in _SITE_FOLDERS]
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join(dict.fromkeys([*roots, *inherited]))
