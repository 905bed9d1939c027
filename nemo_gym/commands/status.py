"""Show what runs here and its health; exit status 0 when something runs and all of it is ready, else 1."""

from pathlib import Path

from pydantic import Field

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.commands.run_choice import RunChoice
from nemo_gym.commands.tables import print_status
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.launch.live_run import chosen_runs, healthy, instances_of
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
        return INCOMPLETE
    ready = [_show(run) for run in runs]
    return DONE if all(ready) else INCOMPLETE


def _token_file(runs: list[RunRecord]) -> Path:
    found = [run.token_path for run in runs if run.token_path.exists()]
    if len(found) == 1:
        return found[0]
    what = f"{len(runs)} runs are up here, {len(found)} of them with a token"
    known = [f"{run.head_port} ({run.run_id}, from {run.folder})" for run in runs]
    raise ConfigError(Mistake(what, where="token_file", known=known, fix="name one: +head_server.port=..."))


def _show(run: RunRecord) -> bool:
    """Print one run; tell whether all of it is ready."""
    instances = instances_of(run)
    if instances is None:
        print(f"run {run.run_id} (pid {run.pid}): its head on port {run.head_port} does not answer (yet)")
        return False
    health = healthy(instances)
    print_status(run, instances, health)
    return all(health) and all(instance.state == "ready" for instance in instances)
