"""`Sandbox`: runs commands and Python source that a model wrote."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from nemo_gym.sandbox.allocation import (
    Scratch,
    cgroup_parent,
    checked_files,
    memory_cgroup,
    new_scratch,
    unused_user_id,
    write_inputs,
)
from nemo_gym.sandbox.filesystem import filesystem_view
from nemo_gym.sandbox.interface import RequiredLevel, SandboxLevel, SandboxLimits, SandboxResult
from nemo_gym.sandbox.level import granted_level, python_for_programs
from nemo_gym.sandbox.run import Run, SupervisedRun
from nemo_gym.sandbox.supervisor.removal import remove_tree

PROGRAM = "main.py"


class Sandbox:
    """Runs programs one by one or many at a time, each in a scratch folder of its own that is removed afterwards.

    Args:
        limits: Bounds of each run.
        level: "strict" runs programs in namespaces or refuses; "best_effort" falls back to resource limits alone, and
            each result says which it was, and what that does not enforce. Where the run says `require_sandbox`, that
            counts instead.
        python: Interpreter for `run_python`, an absolute path; None is the running one without installed packages.
        visible: Further host folders that programs may read, e.g. of a virtual environment made for them.
        max_parallel: Programs that run at the same time; the others wait, and their time does not run meanwhile.

    Raises:
        ValueError: A visible folder does not exist, or `python` lies in none.
    """

    def __init__(
        self,
        limits: SandboxLimits = SandboxLimits(),
        level: RequiredLevel = "strict",
        *,
        python: str | None = None,
        visible: Sequence[str | os.PathLike[str]] = (),
        max_parallel: int = 4 * (os.cpu_count() or 1),
    ) -> None:
        self._limits = limits
        self._required = level
        self._view = filesystem_view(python, visible)
        self._slots = asyncio.Semaphore(max_parallel)

    async def run(
        self,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes | str] | None = None,
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> SandboxResult:
        """Run a command in a folder that holds `files`, until it ends or meets a limit.

        All processes it started are gone when this returns, raises or is cancelled.

        Args:
            command: Program and arguments; a bare name is looked for in /usr/local/bin, /usr/bin and /bin.
            files: Content by relative path; text is written as UTF-8.
            stdin: All that it can read from standard input.
            timeout_s: Wall-clock seconds; None takes `SandboxLimits.timeout_s`.

        Raises:
            SandboxUnavailable: This machine does not give the required level.
            SandboxError: The program was not run, e.g. because there is no such program.
            ValueError: `command` is empty, `timeout_s` not positive, a file's name leads out of the folder or can't be
                one, or two names clash (`a` and `a/b`).
            TypeError: A file's name isn't text, or its content neither text nor bytes.
        """
        timeout_s = self._limits.timeout_s if timeout_s is None else timeout_s
        if not command or timeout_s <= 0:
            raise ValueError(f"sandbox needs a command and a time, not {list(command)} and {timeout_s} s")
        inputs = checked_files(files or {})
        async with self._slots:
            level = await self.level()
            return await self._run_at(level, command, inputs, stdin, timeout_s)

    async def run_python(
        self,
        source: str,
        *,
        files: Mapping[str, bytes | str] | None = None,
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> SandboxResult:
        """Run Python source as `main.py`, a name that `files` can't have; everything else as in `run`."""
        files = files or {}
        if any(PurePosixPath(name) == PurePosixPath(PROGRAM) for name in files):
            raise ValueError(f"sandbox file {PROGRAM!r} is the program itself; give the other file another name")
        python = await asyncio.to_thread(python_for_programs, await self.level(), self._view)
        command = [python, "-B", PROGRAM]
        return await self.run(command, files={**files, PROGRAM: source}, stdin=stdin, timeout_s=timeout_s)

    async def level(self) -> SandboxLevel:
        """Return the level that programs get on this machine.

        Raises:
            SandboxUnavailable: It is less than the required one.
        """
        return await asyncio.to_thread(granted_level, self._required, self._view)

    async def _run_at(
        self,
        level: SandboxLevel,
        command: Sequence[str],
        inputs: Mapping[PurePosixPath, bytes],
        stdin: bytes,
        timeout_s: float,
    ) -> SandboxResult:
        scratch = new_scratch()
        try:
            await asyncio.to_thread(write_inputs, scratch, inputs)
            await asyncio.to_thread(cgroup_parent)  # takes a moment the first time
            with unused_user_id() as user, memory_cgroup(self._cgroup_bytes(level)) as cgroup:
                run = Run(command, level, self._view, self._limits, timeout_s, scratch, user, cgroup)
                return await _supervised(run, stdin)
        finally:
            await asyncio.to_thread(_remove, scratch)

    def _cgroup_bytes(self, level: SandboxLevel) -> int:
        # There the scratch folder and /dev/shm are in memory, and have a limit of their own.
        return self._limits.memory_bytes + (2 * self._limits.scratch_bytes if level == "namespaces" else 0)


async def _supervised(run: Run, stdin: bytes) -> SandboxResult:
    supervised = SupervisedRun(run)
    await supervised.start()
    try:
        return await supervised.result(stdin)
    finally:
        await supervised.end()


def _remove(scratch: Scratch) -> None:
    if scratch.root.exists():  # the supervisor removes it, unless it never started
        remove_tree(str(scratch.root))
