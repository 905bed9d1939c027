"""A run in the foreground: start, do something while it is up, stop on Ctrl-C or SIGTERM; its lines on the console."""

import asyncio
from collections.abc import Awaitable, Callable

from nemo_gym.config.load import RunConfig
from nemo_gym.launch.launcher import Launcher
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.launch.terminal.console import ServerConsole
from nemo_gym.signals import SignalWatch

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
    if console is not None:
        return await _run(Launcher(config, options, console.say, run_directory), console, while_up)
    with ServerConsole() as own:
        return await _run(Launcher(config, options, own.say, run_directory), own, while_up)


async def _run(launcher: Launcher, console: ServerConsole, while_up: WhileUp) -> int:
    with SignalWatch() as signals:
        try:
            await _start(launcher, signals)
            return await while_up(launcher, signals)
        finally:
            if signals.first.done():
                console.say("", f"stopping: {launcher.options.stop_timeout_s:g} s at most; again to end at once")
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
