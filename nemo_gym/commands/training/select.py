"""Select the tasks of a collection by a condition on their profile; write them as a task file."""

import re
import sys

from nemo_gym.analysis.expression import Condition
from nemo_gym.analysis.options import SelectOptions
from nemo_gym.analysis.selection import fields, select_tasks
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.reading.finished import check_rollout_file, open_collection
from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.commands.outcome import outcome_of
from nemo_gym.commands.training.reports import check_outputs
from nemo_gym.config.reading.command_line import CommandLine

_UNQUOTED = re.compile(r"(\+{0,2}where=)([^'\"].*)", re.DOTALL)


def main() -> None:
    """Entry point of ng_select."""
    # A condition has signs that Hydra's grammar wants quoted, inside the shell's own quotation marks.
    arguments = [_UNQUOTED.sub(r'\1"\2"', argument) for argument in sys.argv[1:]]
    run_command("ng_select", __doc__ or "", SelectOptions, select, arguments)


def select(command_line: CommandLine) -> int:
    """Select; print how many; return the exit status."""
    require_known(SelectOptions, command_line)
    options = read_options(SelectOptions, command_line.overrides)
    condition = Condition(options.where, fields())
    check_rollout_file(options.input_jsonl_fpath)
    tasks = options.tasks_jsonl_fpath
    inputs = (*OutputPaths(options.input_jsonl_fpath).all(), *([tasks] if tasks is not None else []))
    check_outputs(options, ["output_jsonl_fpath"], inputs)
    return outcome_of(lambda: _select(options, condition))


def _select(options: SelectOptions, condition: Condition) -> int:
    reader = open_collection(options.input_jsonl_fpath)
    tasks, output = options.tasks_jsonl_fpath, options.output_jsonl_fpath
    chosen = select_tasks(reader, condition, options.profile_settings, tasks, output)
    print(f"{chosen.selected:,} of {chosen.profiled:,} tasks: {condition.text}")
    if chosen.without_rollouts:
        print(f"{chosen.without_rollouts:,} tasks have no scored rollout")
    print(f"tasks: {options.output_jsonl_fpath}")
    return DONE
