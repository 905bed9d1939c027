"""Python environments of servers: the current one where it suffices, else one of their own.

An environment of its own is built aside and renamed into place, keyed by everything that shapes it, shared by servers
that ask for the same, and found again at once next time: `<home>/environments/<key>`.
"""

import asyncio
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from nemo_gym import PARENT_DIR
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.instances import ServerInstance
from nemo_gym.launch.options import Isolate
from nemo_gym.launch.requirements import is_installed, requirements_of
from nemo_gym.launch.run_directory import home


@dataclass(frozen=True)
class Environment:
    """Where a server's interpreter is. `requirements` is empty for the current environment; None is not built yet."""

    python: Path
    requirements: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def is_built(self) -> bool:
        """Tell whether the interpreter is there."""
        return self.folder is None or self.python.exists()


def environment_for(instance: ServerInstance, isolate: Isolate, python_version: str | None = None) -> Environment:
    """Decide which environment an instance runs in; builds nothing."""
    lines = requirements_of(instance.directory)
    missing = [line for line in lines if not is_installed(line)]
    if isolate == "never" or (isolate == "auto" and not missing):
        return Environment(Path(sys.executable))
    requirements = tuple(sorted([*lines, *_own_dependencies()]))
    version = python_version or ".".join(map(str, sys.version_info[:2]))
    key = hashlib.sha256("\n".join([version, str(PARENT_DIR), *requirements]).encode()).hexdigest()[:20]
    folder = home() / "environments" / key
    return Environment(folder / "bin" / "python", requirements, folder)


async def build(environment: Environment, log_path: Path, python_version: str | None = None) -> None:
    """Build an environment unless it is there; raises ConfigError with the installer's last words.

    Two runs that want the same one wait for each other.
    """
    folder = environment.folder
    if folder is None or environment.is_built:
        return
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with _lock(folder.with_suffix(".lock")):
        if environment.is_built:
            return
        draft = folder.with_suffix(f".new-{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            await _install(draft, environment.requirements, log_path, python_version)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


async def _install(draft: Path, requirements: tuple[str, ...], log_path: Path, python_version: str | None) -> None:
    uv = _uv()
    version = python_version or sys.executable
    await _run([*uv, "venv", "--relocatable", "--python", version, str(draft)], log_path)
    python = draft / "bin" / "python"
    listing = draft / "requirements.txt"
    listing.write_text("\n".join(requirements) + "\n")
    await _run([*uv, "pip", "install", "--python", str(python), "-r", str(listing)], log_path)
    # The package itself comes from where this run has it. A path file puts it behind what is installed here.
    for site_packages in (draft / "lib").glob("python*/site-packages"):
        (site_packages / "nemo_gym_of_the_run.pth").write_text(f"{PARENT_DIR}\n")


async def _run(command: list[str], log_path: Path) -> None:
    with log_path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    if status:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-8:])
        what = f"cannot build the environment: {' '.join(command[:3])} … ended with status {status}\n{tail}"
        raise ConfigError(Mistake(what, where=str(log_path), fix="mend the server's requirements.txt"))


def _uv() -> list[str]:
    found = shutil.which("uv")
    beside = Path(sys.executable).with_name("uv")
    if found or beside.exists():
        return [found or str(beside)]
    raise ConfigError(
        Mistake("uv is needed to build a server's own environment", fix="pip install uv, or +isolate=never")
    )


def _own_dependencies() -> list[str]:
    """Return what nemo_gym itself needs, at the versions of this environment: both ends speak the same."""
    needed = map(Requirement, importlib.metadata.requires("nemo-gym") or [])
    return [f"{r.name}=={importlib.metadata.version(r.name)}" for r in needed if not r.marker or r.marker.evaluate()]


@asynccontextmanager
async def _lock(path: Path) -> AsyncIterator[None]:
    with path.open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield
