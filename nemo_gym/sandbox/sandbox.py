"""`Sandbox`: runs commands and Python source that a model wrote."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from nemo_gym.config.keys import REQUIRE_SANDBOX_KEY_NAME
from nemo_gym.sandbox import bubblewrap
from nemo_gym.sandbox.limits import SandboxLimits
from nemo_gym.sandbox.nobody import claimed_user
from nemo_gym.sandbox.orders import STAGE, Run
from nemo_gym.sandbox.requirement import RequiredLevel, required_level, say_level
from nemo_gym.sandbox.result import SandboxError, SandboxLevel, SandboxResult, SandboxUnavailable
from nemo_gym.sandbox.scratch import Scratch, checked_name, new_scratch, write_inputs
from nemo_gym.sandbox.supervised import Supervised
from nemo_gym.sandbox.supervisor import remove_tree
from nemo_gym.sandbox.view import view_of

PROGRAM = "main.py"


class Sandbox:
    """Runs programs one by one or many at a time, each in a scratch folder of its own that is removed afterwards.

    Args:
        limits: Bounds of each run.
        level: "strict" runs programs in namespaces or refuses; "best_effort" falls back to resource limits alone, and
            each result says which it was. Where the run says `require_sandbox`, that counts instead.
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
        self._view = view_of(python, visible)
        self._slots = asyncio.Semaphore(max_parallel)
        self._namespaces_work = False

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
            ValueError: `command` is empty, `timeout_s` not positive, or a file's name leads out of the folder.
        """
        timeout_s = self._limits.timeout_s if timeout_s is None else timeout_s
        if not command or timeout_s <= 0:
            raise ValueError(f"sandbox needs a command and a time, not {list(command)} and {timeout_s} s")
        for name in files or {}:
            checked_name(name)
        async with self._slots:
            level = await self.level()
            return await self._run_at(level, command, files or {}, stdin, timeout_s)

    async def run_python(
        self,
        source: str,
        *,
        files: Mapping[str, bytes | str] | None = None,
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> SandboxResult:
        """Run Python source as `main.py` beside `files`; everything else as in `run`."""
        command = [self._python(await self.level()), "-B", PROGRAM]
        return await self.run(command, files={**(files or {}), PROGRAM: source}, stdin=stdin, timeout_s=timeout_s)

    async def level(self) -> SandboxLevel:
        """Return the level that programs get on this machine.

        Raises:
            SandboxUnavailable: It is less than the required one.
        """
        if not sys.platform.startswith("linux"):
            raise SandboxUnavailable(f"model-written code runs only on Linux, not on {sys.platform}")
        if self._namespaces_work:
            return "namespaces"
        reason = await asyncio.to_thread(bubblewrap.why_not, self._view, self._limits, STAGE)
        self._namespaces_work = reason is None
        level: SandboxLevel = "namespaces" if reason is None else "rlimits"
        if reason is not None and required_level(self._required) == "strict":
            raise SandboxUnavailable(
                f"model-written code is to run in namespaces (strict), but {reason}\n  fix: {bubblewrap.INSTALL}, "
                "or let it run with resource limits alone: best_effort "
                f"(for a whole run: +{REQUIRE_SANDBOX_KEY_NAME}=best_effort)"
            )
        say_level(level)
        return level

    def _python(self, level: SandboxLevel) -> str:
        python = self._view.python
        if level == "rlimits" and os.geteuid() == 0:
            python = self._view.python_for_strangers() or ""
        if not python:
            raise SandboxError(
                f"{self._view.python} cannot be run by other users, and without namespaces root's programs run as one\n"
                f"  fix: {bubblewrap.INSTALL}, or name an interpreter that every user can run"
            )
        return python

    async def _run_at(
        self,
        level: SandboxLevel,
        command: Sequence[str],
        files: Mapping[str, bytes | str],
        stdin: bytes,
        timeout_s: float,
    ) -> SandboxResult:
        scratch = new_scratch()
        try:
            await asyncio.to_thread(write_inputs, scratch, files)
            with claimed_user() as user:
                run = Run(command, level, self._view, self._limits, timeout_s, scratch, user)
                return await _supervised(run, stdin)
        finally:
            await asyncio.to_thread(_remove, scratch)


async def _supervised(run: Run, stdin: bytes) -> SandboxResult:
    supervised = Supervised(run)
    await supervised.start()
    try:
        return await supervised.result(stdin)
    finally:
        await supervised.end()


def _remove(scratch: Scratch) -> None:
    if scratch.root.exists():  # the supervisor removes it, unless it never started
        remove_tree(str(scratch.root))
