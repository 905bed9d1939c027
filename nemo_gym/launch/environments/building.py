"""Python environments of servers: the current one where that is enough, otherwise one of their own.

An environment of its own is keyed by everything that shapes it, shared by servers that ask for the same, and found
again at once next time: `<home>/environments/<key>`. It is built aside, then renamed into place.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from nemo_gym import PARENT_DIR
from nemo_gym.config.env_names import HOME_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.environments.requirements import is_installed, is_plain, requirements_of
from nemo_gym.servers.runs.record import home

Isolate = Literal["always", "auto", "never"]
"""When a server gets a Python environment of its own; auto: where its requirements ask for more than is installed."""


@dataclass(frozen=True)
class Environment:
    """Where a server's interpreter is, and how to build that place.

    Attributes:
        python: The interpreter.
        folder: None for the current environment, which is never built.
        requirements: Lines for the installer.
        directory: The component's folder, which paths in the lines start from.
        version: Version or path of the interpreter to build with.
    """

    python: Path
    folder: Path | None = None
    requirements: tuple[str, ...] = ()
    directory: Path = Path()
    version: str = sys.executable

    @property
    def is_built(self) -> bool:
        """Tell whether the interpreter is there."""
        return self.folder is None or self.python.exists()


def environment_for(
    directory: Path, isolate: Isolate, python_version: str | None = None, also: Sequence[str] = ()
) -> Environment:
    """Decide which environment a component runs in; builds nothing.

    Args:
        directory: The component's folder.
        isolate: When to give it one of its own.
        python_version: For an environment of its own; None takes that of this process.
        also: Requirement lines beyond those of the component.

    Raises:
        ConfigError: Its requirements can't be read.
    """
    lines = [*requirements_of(directory), *also]
    if isolate == "never" or (isolate == "auto" and all(map(is_installed, lines))):
        return Environment(Path(sys.executable))
    requirements = (*lines, *own_dependencies())
    version = str(python_version) if python_version else sys.executable
    shape = [version, sys.version, str(PARENT_DIR), *sorted(requirements), *_local_shape(lines, directory)]
    key = hashlib.sha256("\n".join(shape).encode()).hexdigest()[:20]
    folder = home() / "environments" / key
    return Environment(folder / "bin" / "python", folder, requirements, directory, version)


def _local_shape(lines: Iterable[str], directory: Path) -> list[str]:
    """Return what tells apart equal lines that name local files: the folder they start from, and the files' content."""
    words = [word.partition("[")[0] for line in lines if not is_plain(line) for word in re.split(r"[\s=]+", line)]
    paths = {word: directory / word for word in words if word and (directory / word).exists()}
    starts = {str(directory) for word in paths if not Path(word).is_absolute()}
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values() if path.is_file()]
    return [*starts, *files]


def own_dependencies() -> list[str]:
    """Return what nemo_gym itself needs, at the versions of this environment: both ends speak the same."""
    needed = map(Requirement, importlib.metadata.requires("nemo-gym") or [])
    wanted = [r for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    return [f"{r.name}=={importlib.metadata.version(r.name)}" for r in wanted]


_TAIL_LINES = 12
_LOCK_POLL_S = 0.1


async def build(environment: Environment, log_path: Path) -> None:
    """Build an environment unless it is there. Two servers or runs that want the same one wait for each other.

    Args:
        environment: What to build, and where.
        log_path: Gets the installer's output.

    Raises:
        ConfigError: With the installer's last words, or the place that can't be written; no half-built folder is left.
    """
    folder = environment.folder
    if folder is None or environment.is_built:
        return
    try:
        await _build_once(environment, folder, log_path)
    except OSError as error:
        what = f"can't write an environment to {folder.parent}: {error.strerror or error}"
        fix = f"free or unlock that place, or set {HOME_ENV} to a folder that can be written"
        raise ConfigError(Mistake(what, where=HOME_ENV, fix=fix)) from error


async def _build_once(environment: Environment, folder: Path, log_path: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with _lock(folder.with_suffix(".lock")):
        if environment.is_built:
            return
        draft = folder.with_suffix(f".new-{os.getpid()}")
        _remove(folder, *folder.parent.glob(f"{folder.name}.new-*"))  # of a build that was cut off: we hold the lock
        try:
            await _install(environment, draft, log_path)
            draft.rename(folder)
        finally:
            _remove(draft)


async def _install(environment: Environment, draft: Path, log_path: Path) -> None:
    uv, where = _uv(), environment.directory
    await _run([uv, "venv", "--relocatable", "--python", environment.version, str(draft)], where, log_path)
    listing = draft / "requirements.txt"
    listing.write_text("\n".join(environment.requirements) + "\n")
    python = str(draft / "bin" / "python")
    await _run([uv, "pip", "install", "--python", python, "-r", str(listing)], where, log_path)
    # The package itself comes from where this run has it. A path file puts it behind what is installed here.
    for site_packages in (draft / "lib").glob("python*/site-packages"):
        (site_packages / "nemo_gym_of_the_run.pth").write_text(f"{PARENT_DIR}\n")


async def _run(command: list[str], where: Path, log_path: Path) -> None:
    with log_path.open("ab") as log:
        # A session of its own: Ctrl-C at the terminal is for the launcher, which then ends the installer's whole group.
        process = await asyncio.create_subprocess_exec(
            *command, cwd=where, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if status:
        raise ConfigError(_failed_build(command, where, log_path, status))


def _failed_build(command: list[str], where: Path, log_path: Path, status: int) -> Mistake:
    tail = [f"    | {line}" for line in log_path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]]
    what = f"can't build an environment for {where}: {' '.join(command[:3])} ended with status {status}"
    fix = "correct the requirements of that folder, or +isolate=never"
    return Mistake("\n".join([what, *tail]), where=str(log_path), fix=fix)


def _uv() -> str:
    found = shutil.which("uv")
    beside = Path(sys.executable).with_name("uv")
    if found or beside.exists():
        return found or str(beside)
    raise ConfigError(
        Mistake("uv is needed to build a server's own environment", fix="pip install uv, or +isolate=never")
    )


@contextlib.asynccontextmanager
async def _lock(path: Path) -> AsyncIterator[None]:
    with path.open("w") as file:
        while True:  # not a blocking call in a thread: that could not be cancelled
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_S)
        yield


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
