"""Stop a run: all of its servers, then its launcher. Without a choice: the only one there is."""

from pydantic import Field

from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.commands.servers.run_choice import RunChoice
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.launch.live_run import chosen_runs, stop_run
from nemo_gym.servers.runs.record import RunRecord


class StopOptions(RunChoice):
    """Parameters of ng_stop."""

    all: bool = Field(default=False, description="Stop every run of this machine's home.")


def main() -> None:
    """Entry point of ng_stop."""
    run_command("ng_stop", __doc__ or "", StopOptions, stop)


def stop(command_line: CommandLine) -> int:
    """Stop the chosen runs and say so; return the exit status."""
    require_known(StopOptions, command_line)
    options = read_options(StopOptions, command_line.overrides)
    runs = chosen_runs(options.head_server.port)
    mistakes = [] if options.all else _ambiguity(runs)
    mistakes += [_belongs_to_program(run) for run in runs if not run.is_command]
    if mistakes:
        raise ConfigError(*mistakes)
    for run in runs:
        killed = "" if stop_run(run) else " (its launcher did not end in time and was killed)"
        print(f"stopped run {run.run_id} with {len(run.servers)} servers{killed}")
    if not runs:
        print("nothing runs here")
    return DONE


def _ambiguity(runs: list[RunRecord]) -> list[Mistake]:
    if len(runs) < 2:
        return []
    known = [f"{run.head_port} ({run.run_id}, from {run.folder})" for run in runs]
    return [Mistake(f"{len(runs)} runs are up", known=known, fix="name one: +head_server.port=...; or +all=true")]


def _belongs_to_program(run: RunRecord) -> Mistake:
    what = f"run {run.run_id} belongs to a program that may also do other things (pid {run.pid}, from {run.folder})"
    return Mistake(what, where="head_server.port", fix="end that program: its servers end with it")
