"""Start the head and every configured server, say when all are ready, supervise, stop all on Ctrl-C."""

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from nemo_gym.commands.entry import DONE, INTERRUPTED, MISTAKE, read_options, run_command
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import RunConfig, load_config
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.launch.terminal.tables import plan_text, ready_text
from nemo_gym.signals import SignalWatch
from nemo_gym.viewer.serving.beside import viewer_beside

if TYPE_CHECKING:
    from nemo_gym.launch.detach import StartReporter
    from nemo_gym.launch.launcher import Launcher

_EXAMPLE = (
    "ng_run resources_servers/example_simple_weather/configs/simple_weather.yaml "
    "responses_api_models/openai_model/configs/openai_model.yaml"
)


class RunOptions(LaunchOptions):
    """Parameters of commands that start servers."""

    config_paths: list[str] = Field(default=[], description="Configuration files, the later win; or name them bare.")
    dry_run: bool = Field(default=False, description="Check the configuration, print the plan, start nothing.")
    viewer: bool = Field(default=False, description="Show rollouts in a browser meanwhile: those below this folder.")


class RunCommandOptions(RunOptions):
    """Parameters of ng_run."""

    detach: bool = Field(default=False, description="Return when all are ready and leave them up; ng_stop stops them.")


def main() -> None:
    """Entry point of ng_run."""
    run_command("ng_run", __doc__ or "", RunCommandOptions, run)


def run(command_line: CommandLine) -> int:
    """Run until stopped; return the exit status."""
    began_at = time.monotonic()
    config = load_config(command_line, own_keys=list(RunCommandOptions.model_fields))
    options = read_options(RunCommandOptions, config.global_config_dict)
    for mistake in config.ignored:
        print(f"ignored: {mistake}", file=sys.stderr)
    if not config.instances:
        fix = f"name configuration files, for example: {_EXAMPLE}"
        raise ConfigError(Mistake("no servers are configured", where="config_paths", fix=fix))
    if options.dry_run:
        print(plan_text(config, options, is_terminal=sys.stdout.isatty()))
        return DONE
    if options.detach and options.viewer:
        fix = "start ng_viewer by itself"
        raise ConfigError(Mistake("a detached run has no viewer beside it", where="viewer", fix=fix))
    if options.detach:
        return _detach(config, options, began_at)
    directory = RunDirectory()
    directory.announce(config, options.stop_timeout_s)  # at once: ng_stop finds a run that is still being loaded
    try:
        with viewer_beside(Path() if options.viewer else None):
            return asyncio.run(_serve(config, options, directory, began_at))
    finally:
        directory.close_record()


async def _serve(config: RunConfig, options: RunOptions, directory: RunDirectory, began_at: float) -> int:
    from nemo_gym.launch.launcher import StartError
    from nemo_gym.launch.terminal.console import ServerConsole
    from nemo_gym.launch.terminal.foreground import Interrupted, run_in_foreground

    # Everything is printed through the console: a direct print waits for a reader, and every server with it.
    async def while_up(launcher: "Launcher", signals: SignalWatch) -> int:
        seconds, is_terminal = time.monotonic() - began_at, console.is_terminal
        servers = launcher.states_now()
        console.say("", ready_text(servers, config, seconds, "Ctrl-C stops them", is_terminal=is_terminal))
        await signals.first
        return INTERRUPTED

    try:
        with ServerConsole() as console:
            with contextlib.suppress(Interrupted):
                await run_in_foreground(config, options, while_up, console, directory)
            console.say("", "stopped")
    except StartError as error:
        print(f"start error: {error}", file=sys.stderr)
        return error.exit_status
    return INTERRUPTED


def _detach(config: RunConfig, options: RunOptions, began_at: float) -> int:
    from nemo_gym.launch.detach import start_in_background

    report = start_in_background(
        lambda directory, reporter: asyncio.run(_serve_unseen(config, options, directory, reporter)),
        options.stop_timeout_s,
    )
    if report.exit_status:
        print(report.error, file=sys.stderr)
        return report.exit_status
    how_to_stop = f"ng_stop +head_server.port={config.head_port} stops them"
    seconds, is_terminal = time.monotonic() - began_at, sys.stdout.isatty()
    print(ready_text(report.servers, config, seconds, how_to_stop, is_terminal=is_terminal))
    return DONE


async def _serve_unseen(
    config: RunConfig, options: RunOptions, directory: RunDirectory, reporter: "StartReporter"
) -> int:
    from nemo_gym.launch.detach import StartReport
    from nemo_gym.launch.launcher import StartError
    from nemo_gym.launch.terminal.foreground import Interrupted, run_in_foreground

    async def while_up(launcher: "Launcher", signals: SignalWatch) -> int:
        reporter.send(StartReport(exit_status=DONE, servers=launcher.states_now()))
        await signals.first
        return DONE

    try:
        directory.announce(config, options.stop_timeout_s)
        return await run_in_foreground(config, options, while_up, run_directory=directory)
    except StartError as error:
        report = StartReport(exit_status=error.exit_status, error=f"start error: {error}")
    except ConfigError as error:
        report = StartReport(exit_status=MISTAKE, error=str(error))
    except Interrupted:
        report = StartReport(exit_status=INTERRUPTED, error="stopped before all servers were ready")
    directory.close_record()
    reporter.send(report)
    return report.exit_status
