"""Show what runs here and its health; exit status 0 when something runs and all of it is ready, else 1."""

import sys
from pathlib import Path

from pydantic import Field

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.commands.servers.run_choice import RunChoice
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.launch.live_run import answering, chosen_runs, instances_of
from nemo_gym.launch.terminal.tables import status_text
from nemo_gym.servers.runs.record import RunRecord


class StatusOptions(RunChoice):
    """Parameters of ng_status."""

    token_file: bool = Field(
        default=False, description="Print nothing but the path of the file with the run's token, for callers of yours."
    )


def main() -> None:
    """Entry point of ng_status."""
    run_command("ng_status", __doc__ or "", StatusOptions, status)


def status(command_line: CommandLine) -> int:
    """Print a table for each run, or where a token is; return the exit status."""
    require_known(StatusOptions, command_line)
    options = read_options(StatusOptions, command_line.overrides)
    runs = chosen_runs(options.head_server.port)
    if options.token_file:
        print(_token_file(runs))
        return DONE
    if not runs:
        print("nothing runs here")
    healthy = [is_healthy for run in runs for is_healthy in _show(run)]
    print(f"{len(healthy)} servers found ({sum(healthy)} healthy, {len(healthy) - sum(healthy)} unhealthy)")
    return DONE if runs and all(healthy) else INCOMPLETE


def _token_file(runs: list[RunRecord]) -> Path:
    found = [run.token_path for run in runs if run.token_path.exists()]
    if len(found) == 1:
        return found[0]
    what = f"{len(runs)} runs are up here, {len(found)} of them with a token"
    known = [f"{run.head_port} ({run.run_id}, from {run.folder})" for run in runs]
    raise ConfigError(Mistake(what, where="token_file", known=known, fix="name one: +head_server.port=..."))


def _show(run: RunRecord) -> list[bool]:
    """Print one run; tell of each of its servers whether it is ready and answers."""
    try:
        instances = instances_of(run)
    except ConfigError as error:
        print(f"run {run.run_id} (pid {run.pid}): its head on port {run.head_port} can't be asked\n{error}")
        return [False for _ in run.servers]
    if instances is None:
        print(f"run {run.run_id} (pid {run.pid}): its head on port {run.head_port} doesn't answer (yet)")
        return [False for _ in run.servers]
    answers = answering(run, instances)
    print(status_text(run, instances, answers, is_terminal=sys.stdout.isatty()))
    return [instance.state == "ready" and answer for instance, answer in zip(instances, answers, strict=True)]
