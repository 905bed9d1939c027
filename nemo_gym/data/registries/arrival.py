"""Where a fetched file is kept until it is whole and has been compared with its checksum."""

from pathlib import Path

from nemo_gym.collections.files import make_folder
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.data.registries.checksums import Checksum
from nemo_gym.data.registries.errors import RegistryError


def partial_path(target: Path) -> Path:
    """Return the hidden name of what has come so far, from which the same command goes on."""
    return target.with_name(f".{target.name}.partial")


def is_there(target: Path, wanted: Checksum | None, *, overwrite: bool) -> bool:
    """Tell whether the file is there already.

    Raises:
        ConfigError: Another one is, and may not be overwritten.
        OutputError: Its folder can't be made.
    """
    if not target.exists():
        make_folder(target.parent)
        return False
    if wanted is not None and target.is_file() and wanted.matches(target):
        return True
    if overwrite and target.is_file():
        return False
    fix = "+overwrite=true replaces it, or name another file"
    raise ConfigError(Mistake(f"{target} exists and is another file", where="output_fpath", fix=fix))


def accept(partial: Path, target: Path, wanted: Checksum | None, doing: str) -> None:
    """Give a fetched file its name if it is what was wanted; else remove it and raise RegistryError."""
    if wanted is not None and not wanted.matches(partial):
        partial.unlink()
        raise RegistryError(doing, f"what came doesn't have the {wanted.algorithm} {wanted.digest}; it was removed")
    partial.replace(target)
