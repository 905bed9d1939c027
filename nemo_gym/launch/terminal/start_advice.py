"""What to do about a server that ended before it was ready, where its output or its script tells."""

import re
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nemo_gym.config.keys import KINDS
from nemo_gym.launch.environments.requirements import requirements_of

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_SERVER_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_OURS = ("nemo_gym", *KINDS)
_PACKAGE_OF_MODULE = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def about_missing_module(output: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return which module is missing, and the line that asks for it; nothing when none is, or it's one of ours.

    Args:
        output: The last lines of the process.
        folders: The components that run in it, one or more.
    """
    found = [(index, match.group(1)) for index, line in enumerate(output) if (match := _MISSING.match(line))]
    if not found or found[-1][1].partition(".")[0] in _OURS:
        return []
    index, module = found[-1]
    folder = _importing(output[:index], folders)
    top = module.partition(".")[0]
    package = _PACKAGE_OF_MODULE.get(top, top)
    return [f"    | {output[index]}", f"  missing: the Python module '{module}'", f"  fix: {_fix(package, folder)}"]


def about_unserved(script: Path) -> list[str]:
    """Return what a script lacks that ended without serving anything."""
    code = script.read_text(errors="replace")
    what = "ended before it called" if ".run_webserver(" in code else "doesn't call"
    classes = _SERVER_CLASS.findall(code)
    lines = ['if __name__ == "__main__":', f"    {classes[-1] if classes else 'MyServer'}.run_webserver()"]
    return [f"  {script} {what} run_webserver()", "  fix: end that file with", *(f"      {line}" for line in lines)]


def _fix(package: str, folder: Path) -> str:
    has_project = (folder / "pyproject.toml").is_file() and not (folder / "requirements.txt").is_file()
    file = folder / ("pyproject.toml" if has_project else "requirements.txt")
    if canonicalize_name(package) in _names(folder):
        return f"{file} asks for `{package}` already, so leave isolate=never out, or: pip install -r {file}"
    place = f"`{package}` to the dependencies in {file}" if has_project else f"the line `{package}` to {file}"
    return f"add {place}"


def _names(folder: Path) -> set[str]:
    names: set[str] = set()
    for line in requirements_of(folder):
        try:
            names.add(canonicalize_name(Requirement(line.partition(" --")[0]).name))
        except InvalidRequirement:
            continue  # a URL or an option: it names no package
    return names


def _importing(output: Sequence[str], folders: Sequence[Path]) -> Path:
    """Return the component whose file a traceback names last; the first where it names none."""
    for line in reversed(output):
        for folder in folders:
            if f'File "{folder}/' in line:
                return folder
    return folders[0]
