"""Heavy work on a node of a cluster. Standard library only and sent by value: a node may have none of this package."""

import importlib.util
import io
import os
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

_UNUSED_AFTER_S = 24 * 3600.0
_KEPT = "nemo_gym_kept_process"
Answered = tuple[bytes, int, bool, str]


def run_on_node(
    digest: str, code: list[Any], request: dict[str, Any], wall_limit_s: float, memory_limit_bytes: int
) -> Answered:
    """Answer a call in the process that this worker of Ray keeps; return the fields of its `Reply`.

    Args:
        digest: Of the code.
        code: Reference to the zip file with the code, in a list so that only nodes that lack it fetch it.
        request: For the process; its `file` is a name in the zip file.
        wall_limit_s: As in `HeavyWorkConfig`.
        memory_limit_bytes: As in `HeavyWorkConfig`.
    """
    import ray  # here: a run without a cluster imports none of it

    folder = _folder_of(digest)
    if not folder.is_dir():
        unpack(ray.get(code[0]), folder)
    os.utime(folder)  # in use
    process = _process(digest, folder, memory_limit_bytes)
    reply = process.answer({**request, "file": str(folder / request["file"])}, wall_limit_s)
    address = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    return reply.line, reply.status, reply.timed_out, address


def unpack(archive: bytes, folder: Path) -> None:
    """Make the folder with the code of a zip file; those beside it that were unused for a day are removed."""
    for old in folder.parent.iterdir():
        if old.stat().st_mtime < time.time() - _UNUSED_AFTER_S:
            shutil.rmtree(old, ignore_errors=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent))
    with zipfile.ZipFile(io.BytesIO(archive)) as code:
        code.extractall(new)
    try:
        new.rename(folder)
    except OSError:  # another worker was faster
        shutil.rmtree(new, ignore_errors=True)


def _folder_of(digest: str) -> Path:
    home = Path(os.environ.get("NEMO_GYM_HOME") or Path.home() / ".nemo_gym")
    above = home / "heavy_work"
    above.mkdir(parents=True, exist_ok=True, mode=0o700)
    return above / digest


def _process(digest: str, folder: Path, memory_limit_bytes: int) -> Any:
    """Return the process that this worker keeps from call to call, in a module that outlives the call."""
    kept: Any = sys.modules.get(_KEPT)
    made_for = (digest, memory_limit_bytes)
    if kept is None or kept.made_for != made_for or not kept.process.is_alive:
        if kept is not None:
            kept.process.end()
        kept = _load(folder / "nemo_gym/environments/heavy_work/process.py")
        kept.made_for, kept.process = made_for, kept.WorkProcess([str(folder), *sys.path], memory_limit_bytes)
    return kept.process


def _load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(_KEPT, file)
    assert spec is not None and spec.loader is not None  # noqa: PT018  # it is a Python file
    module = sys.modules[_KEPT] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
