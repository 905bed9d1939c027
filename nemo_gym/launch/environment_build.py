"""Building a server's own environment: aside, then renamed into place, once for all who want the same."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from nemo_gym import PARENT_DIR
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.environments import Environment

_TAIL_LINES = 12
_LOCK_POLL_S = 0.1


async def build(environment: Environment, log_path: Path) -> None:
    """Build an environment unless it is there. Two servers or runs that want the same one wait for each other.

    Args:
        environment: What to build, and where.
        log_path: Gets the installer's output.

    Raises:
        ConfigError: With the installer's last words; no half-built folder is left.
    """
    folder = environment.folder
    if folder is None or environment.is_built:
        return
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
    what = f"cannot build an environment for {where}: {' '.join(command[:3])} ended with status {status}"
    fix = "mend the requirements of that folder, or +isolate=never"
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
