"""Start the head and every configured server, say when all are ready, supervise, stop all on Ctrl-C."""

import asyncio
import sys
import time

from pydantic import Field

from nemo_gym.commands.entry import DONE, INCOMPLETE, INTERRUPTED, read_options, run_command
from nemo_gym.commands.tables import print_plan, print_ready
from nemo_gym.config.command_line import CommandLine
from nemo_gym.config.load import RunConfig, load_config
from nemo_gym.launch.options import LaunchOptions
from nemo_gym.signals import SignalWatch


class RunOptions(LaunchOptions):
    """Parameters of ng_run."""

    config_paths: list[str] = Field(default=[], description="Configuration files, the later win; or name them bare.")
    dry_run: bool = Field(default=False, description="Check the configuration, print the plan, start nothing.")


def main() -> None:
    """Entry point of ng_run."""
    run_command("ng_run", __doc__ or "", RunOptions, run)


def run(command_line: CommandLine) -> int:
    """Run until stopped; return the exit status."""
    began_at = time.monotonic()
    config = load_config(command_line, own_keys=list(RunOptions.model_fields))
    options = read_options(RunOptions, config.global_config_dict)
    for mistake in config.ignored:
        print(f"ignored: {mistake}", file=sys.stderr)
    if options.dry_run:
        print_plan(config, options)
        return DONE
    return asyncio.run(_serve(config, options, began_at))


async def _serve(config: RunConfig, options: RunOptions, began_at: float) -> int:
    from nemo_gym.launch.foreground import Interrupted, run_in_foreground
    from nemo_gym.launch.launcher import Launcher, StartError

    async def while_up(launcher: Launcher, signals: SignalWatch) -> int:
        print_ready(launcher, time.monotonic() - began_at)
        await signals.first
        return INTERRUPTED

    try:
        status = await run_in_foreground(config, options, while_up)
    except StartError as error:
        print(f"start error: {error}", file=sys.stderr)
        return INCOMPLETE
    except Interrupted:
        status = INTERRUPTED
    print("stopped", flush=True)
    return status
