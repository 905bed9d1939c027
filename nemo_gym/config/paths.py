"""Where relative paths lead: the current folder, then the project root, then beside the file that names them.

The component folders stand beside `nemo_gym/` in a checkout and in an installation alike, so the project root
is also the place of what was installed.
"""

from pathlib import Path

from nemo_gym import PARENT_DIR
from nemo_gym.config.keys import KINDS


def candidate_paths(path: str | Path, *, beside: Path | None = None) -> list[Path]:
    """Return every place where `path` is looked for, in order; an absolute path has one.

    Args:
        path: As a person wrote it; `~` is their home.
        beside: Folder of the file that names `path`, tried last.
    """
    wanted = Path(path).expanduser()
    if wanted.is_absolute():
        return [wanted]
    roots = [Path.cwd(), PARENT_DIR] + ([beside] if beside else [])
    return list(dict.fromkeys(root / wanted for root in roots))


def find_file(path: str | Path, *, beside: Path | None = None) -> Path | None:
    """Return the first existing file among `candidate_paths(path)`, or None."""
    return next((place for place in candidate_paths(path, beside=beside) if place.is_file()), None)


def find_component(kind: str, implementation: str, entrypoint: str | None = None) -> Path | None:
    """Return the folder `<kind>/<implementation>`, or None.

    The first folder that holds `entrypoint` wins over an earlier one that does not: a folder of the same name
    that only collects results must not hide the component.
    """
    folders = [place for place in candidate_paths(Path(kind) / implementation) if place.is_dir()]
    whole = [folder for folder in folders if entrypoint and (folder / entrypoint).is_file()]
    return next(iter(whole + folders), None)


def implementations(kind: str) -> list[str]:
    """Return the sorted names of the component folders of one kind."""
    folders = [folder for place in candidate_paths(kind) if place.is_dir() for folder in place.iterdir()]
    return sorted({folder.name for folder in folders if folder.is_dir() and folder.name[0] not in "._"})


def component_configs() -> list[str]:
    """Return the YAML files of all components, sorted, relative to where they were found."""
    roots = dict.fromkeys([Path.cwd(), PARENT_DIR])
    patterns = [f"{kind}/*/configs/*.y*ml" for kind in KINDS]
    return sorted(
        {str(file.relative_to(root)) for root in roots for pattern in patterns for file in root.glob(pattern)}
    )


def shown(path: Path) -> str:
    """Return the path as a person reads it: relative when it is below the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
