"""The code that a node of a cluster needs for a call: this package, and the environment's own folder."""

import hashlib
import io
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nemo_gym
from nemo_gym.config.keys import RESOURCES_KIND
from nemo_gym.environments.heavy_work.job import Job

_PACKAGE = Path(nemo_gym.__file__).parent
_LEFT_OUT = frozenset({"__pycache__", "tests", "results", "node_modules"})
_LARGEST_FILE_BYTES = 8 << 20
_LARGEST_BYTES = 64 << 20


@dataclass(frozen=True)
class CodeArchive:
    """A zip file of code.

    Attributes:
        data: The file.
        digest: Of names and contents, hexadecimal: the same code has the same.
        root: Folder on this machine to which its names are relative.
    """

    data: bytes
    digest: str
    root: Path

    def name_of(self, file: Path) -> str:
        """Return the name of a file in it; a path of this machine where the file isn't sent, being installed."""
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else str(file)


def pack(job: Job) -> CodeArchive:
    """Return the code that a job needs; raises ValueError when that is too much to send."""
    folder, root = code_folder(job) or (_PACKAGE, _PACKAGE.parent)
    files = dict(_files(_PACKAGE, _PACKAGE.parent)) | dict(_files(folder, root))
    digest, buffer = hashlib.sha256(), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
            archive.writestr(name, content)
    return CodeArchive(buffer.getvalue(), digest.hexdigest(), root)


def code_folder(job: Job) -> tuple[Path, Path] | None:
    """Return the folder to send, and the one that is on the path of imports; None where the code is installed.

    An environment is the folder `resources_servers/<name>`. Other code is its package, or the folder of its script.
    """
    names = job.module.split(".")
    is_module = list(job.file.with_suffix("").parts[-len(names) :]) == names
    root = job.file.parents[len(names) - 1] if is_module else job.file.parent
    if len(names) == 1 and root.parent.name == RESOURCES_KIND:  # it was started as a script
        return root, root.parent.parent
    if _is_installed(job.file) and names[0] != RESOURCES_KIND:
        return None
    top = root / names[0]
    if len(names) == 1 or not is_module:
        return root, root
    # A folder without __init__.py may hold what belongs to others.
    return (top if len(names) == 2 or (top / "__init__.py").is_file() else top / names[1]), root


def _files(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    total = 0
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if any(part in _LEFT_OUT or part.startswith(".") for part in inside) or not path.is_file():
            continue
        size = path.stat().st_size
        if size <= _LARGEST_FILE_BYTES:
            total += size
            yield path.relative_to(root).as_posix(), path
        if total > _LARGEST_BYTES:
            raise ValueError(
                f"{folder} has more than {_LARGEST_BYTES >> 20} MB, too much to send to the nodes of a cluster; "
                "keep data in another folder"
            )


def _is_installed(file: Path) -> bool:
    paths = sysconfig.get_paths()
    return any(file.is_relative_to(paths[name]) for name in ("purelib", "platlib", "stdlib"))
