"""Show what runs here and its health; exit status 0 when something runs and all of it is ready, else 1."""

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.commands.run_choice import RunChoice
from nemo_gym.commands.tables import print_status
from nemo_gym.config.command_line import CommandLine
from nemo_gym.launch.live_run import chosen_runs, healthy, instances_of
from nemo_gym.launch.run_directory import RunRecord


def main() -> None:
    """Entry point of ng_status."""
    run_command("ng_status", __doc__ or "", RunChoice, status)


def status(command_line: CommandLine) -> int:
    """Print a table for each run; return the exit status."""
    require_known(RunChoice, command_line)
    runs = chosen_runs(read_options(RunChoice, command_line.overrides).head_server.port)
    if not runs:
        print("nothing runs here")
        return INCOMPLETE
    ready = [_show(run) for run in runs]
    return DONE if all(ready) else INCOMPLETE


def _show(run: RunRecord) -> bool:
    """Print one run; tell whether all of it is ready."""
    instances = instances_of(run)
    if instances is None:
        print(f"run {run.run_id} (pid {run.pid}): its head on port {run.head_port} does not answer (yet)")
        return False
    health = healthy(instances)
    print_status(run, instances, health)
    return all(health) and all(instance.state == "ready" for instance in instances)
