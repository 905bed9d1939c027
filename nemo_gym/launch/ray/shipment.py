"""The code of a run, packed for the nodes of a cluster: this package, and the folders of its placed components."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nemo_gym import PARENT_DIR
from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import KINDS
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.processes.local_place import read_digests

_MAX_BYTES = 500 * 2**20
_NOT_SHIPPED = frozenset({"__pycache__", "venv", "node_modules", "results", "outputs", "cache"})
_TIME = (1980, 1, 1, 0, 0, 0)  # the same files give the same bytes


@dataclass(frozen=True)
class Shipment:
    """Packed code.

    Attributes:
        content: A zip file.
        digest: Names its content.
        code_digests: Of the code of each instance in it.
    """

    content: bytes
    digest: str
    code_digests: dict[str, str | None]


def pack(processes: Sequence[PlannedProcess]) -> Shipment:
    """Read and pack the code of processes; files that are hidden, cached or results stay behind.

    Raises:
        ConfigError: It is too much, or can't be read.
    """
    digests = {name: digest for process in processes for name, digest in read_digests(process).items()}
    folders = {PurePosixPath("nemo_gym"): PARENT_DIR / "nemo_gym"}
    for process in processes:
        for server in process.servers:
            folders[_folder_on_node(server.instance)] = server.instance.directory
    packed = io.BytesIO()
    size = 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for there, here in folders.items():
            for file in _files(here):
                content = _read(file)
                size += len(content)
                if size > _MAX_BYTES:
                    raise ConfigError(_too_much(here))
                archive.writestr(zipfile.ZipInfo(str(there / file.relative_to(here).as_posix()), _TIME), content)
    content = packed.getvalue()
    return Shipment(content, hashlib.blake2b(content, digest_size=12).hexdigest(), digests)


def script_on_node(instance: ServerInstance) -> str:
    """Return the path of a component's entrypoint on a node, from the root of the shipment."""
    return str(_folder_on_node(instance) / instance.entrypoint.relative_to(instance.directory).as_posix())


def _folder_on_node(instance: ServerInstance) -> PurePosixPath:
    # Such that imports find it from the root, as they do here.
    directory = instance.directory
    if directory.parent.name in KINDS:
        return PurePosixPath(directory.parent.name, directory.name)
    return PurePosixPath(directory.name)


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in _NOT_SHIPPED:
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            Mistake(f"can't read {file}, which a node needs: {error.strerror}", where=str(file))
        ) from None


def _too_much(folder: Path) -> Mistake:
    what = f"the code of the placed servers is more than {_MAX_BYTES >> 20} MiB, with {folder}"
    return Mistake(what, where=str(folder), fix="keep data out of that folder; 'results' and 'cache' in it stay behind")
