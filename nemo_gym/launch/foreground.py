"""A run in the foreground: start, do something while it is up, stop on Ctrl-C or SIGTERM; its lines on the console."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable

from nemo_gym.config.load import RunConfig
from nemo_gym.launch.launcher import Launcher
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.signals import SignalWatch

_COLOURS = (36, 32, 35, 33, 34, 96, 92, 95)


class ServerConsole:
    """Prints lines of servers and of the launcher itself to standard output."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}
        self._is_terminal = sys.stdout.isatty()
        self._is_open = True
        self._lock = threading.Lock()

    def say(self, server: str, text: str) -> None:
        """Print one line; `server` is "" for the launcher. Nothing when nobody reads any more (`| head`)."""
        with self._lock:
            if not self._is_open:
                return
            try:
                self._write(f"{self._label(server)}{text}\n")
            except OSError:
                self._is_open = False  # a server must not stop because its console is gone; its log file goes on

    def _write(self, line: str) -> None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()

    def _label(self, server: str) -> str:
        if not server:
            return ""
        if not self._is_terminal:
            return f"[{server}] "
        colour = self._colours.setdefault(server, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"\033[{colour}m[{server}]\033[0m "


WhileUp = Callable[[Launcher, SignalWatch], Awaitable[int]]


class Interrupted(Exception):
    """A signal ended the run before all was ready."""


async def run_in_foreground(
    config: RunConfig,
    options: LaunchOptions,
    while_up: WhileUp,
    console: ServerConsole | None = None,
    run_directory: RunDirectory | None = None,
) -> int:
    """Start the run, return what `while_up` returns, and stop the run whatever happens.

    `while_up` gets the signals: it ends soon after the first. A second one ends everything at once.

    Raises:
        ConfigError, StartError: The run could not be started.
        Interrupted: A signal came first.
    """
    console = console or ServerConsole()
    launcher = Launcher(config, options, console.say, run_directory)
    with SignalWatch() as signals:
        try:
            await _start(launcher, signals)
            return await while_up(launcher, signals)
        finally:
            if signals.first.done():
                console.say("", f"stopping: {options.stop_timeout_s:g} s at most; again to end at once")
            await _stop(launcher, signals)


async def _start(launcher: Launcher, signals: SignalWatch) -> None:
    start = asyncio.ensure_future(launcher.start())
    await signals.first_or(start)
    if not start.done():
        start.add_done_callback(_disregard)  # whatever else goes wrong with it, the signal is the reason
        raise Interrupted  # stopping the launcher ends the start
    start.result()


def _disregard(start: "asyncio.Future[None]") -> None:
    if not start.cancelled():
        start.exception()


async def _stop(launcher: Launcher, signals: SignalWatch) -> None:
    orderly = asyncio.ensure_future(launcher.stop())
    await signals.second_or(orderly)
    if not orderly.done():
        await launcher.stop(at_once=True)
    await orderly
