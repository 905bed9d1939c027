"""Profile the tasks of a collection: pass rate with interval, variance, length, cost."""

from nemo_gym.analysis.options import ProfileOptions
from nemo_gym.analysis.report.of_profile import ProfileReport
from nemo_gym.analysis.task_profile import profile_tasks
from nemo_gym.collections.drafts import Drafts
from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.reading.finished import check_rollout_file, open_collection
from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.commands.outcome import outcome_of
from nemo_gym.commands.training.reports import check_outputs, print_report, write_report
from nemo_gym.config.reading.command_line import CommandLine


def main() -> None:
    """Entry point of ng_profile."""
    run_command("ng_profile", __doc__ or "", ProfileOptions, profile)


def profile(command_line: CommandLine) -> int:
    """Profile; print the report and write what was asked for; return the exit status."""
    require_known(ProfileOptions, command_line)
    options = read_options(ProfileOptions, command_line.overrides)
    check_rollout_file(options.input_jsonl_fpath)
    outputs = ("output_jsonl_fpath", "markdown_fpath", "html_fpath")
    check_outputs(options, outputs, OutputPaths(options.input_jsonl_fpath).all())
    return outcome_of(lambda: _profile(options))


def _profile(options: ProfileOptions) -> int:
    reader = open_collection(options.input_jsonl_fpath)
    title = f"Profile of {options.input_jsonl_fpath.name}"
    report = ProfileReport(title, options.profile_settings, options.max_tasks)
    with Drafts() as drafts:
        output = options.output_jsonl_fpath
        file = None if output is None else drafts.open(output)
        for task in profile_tasks(reader, options.profile_settings):
            report.add(task)
            if file is not None:
                file.write(task.model_dump_json().encode() + b"\n")
        finished = report.report()
        write_report(drafts, finished, options.markdown_fpath, options.html_fpath)
        drafts.publish()
    print_report(finished)
    return DONE
