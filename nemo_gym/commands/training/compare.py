"""Compare two collections of the same tasks, with a paired bootstrap over tasks."""

import dataclasses
from pathlib import Path

from nemo_gym.analysis.comparison import compare
from nemo_gym.analysis.options import CompareOptions
from nemo_gym.analysis.report.of_comparison import comparison_report
from nemo_gym.collections.drafts import Drafts
from nemo_gym.collections.files import OutputPaths, json_text
from nemo_gym.collections.reading.finished import check_rollout_file, open_collection
from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.commands.outcome import outcome_of
from nemo_gym.commands.training.reports import check_outputs, print_report, write_report
from nemo_gym.config.reading.command_line import CommandLine


def main() -> None:
    """Entry point of ng_compare."""
    run_command("ng_compare", __doc__ or "", CompareOptions, compare_collections)


def compare_collections(command_line: CommandLine) -> int:
    """Compare; print the report and write what was asked for; return the exit status."""
    require_known(CompareOptions, command_line)
    options = read_options(CompareOptions, command_line.overrides)
    before, after = options.baseline_jsonl_fpath, options.candidate_jsonl_fpath
    check_rollout_file(before, "baseline_jsonl_fpath")
    check_rollout_file(after, "candidate_jsonl_fpath")
    inputs = (*OutputPaths(before).all(), *OutputPaths(after).all())
    check_outputs(options, ("output_fpath", "markdown_fpath", "html_fpath"), inputs)
    return outcome_of(lambda: _compare(options))


def _compare(options: CompareOptions) -> int:
    before, after = options.baseline_jsonl_fpath, options.candidate_jsonl_fpath
    baseline = open_collection(before, "baseline_jsonl_fpath")
    candidate = open_collection(after, "candidate_jsonl_fpath")
    comparison = compare(baseline, candidate, options.profile_settings, options.bootstrap_settings)
    report = comparison_report(_title(before, after), comparison, options.bootstrap_settings)
    with Drafts() as drafts:
        if options.output_fpath is not None:
            drafts.open(options.output_fpath).write(json_text(dataclasses.asdict(comparison)).encode())
        write_report(drafts, report, options.markdown_fpath, options.html_fpath)
        drafts.publish()
    print_report(report)
    return DONE


def _title(before: Path, after: Path) -> str:
    """Name both files, with their folders where the names alone are equal."""
    if before.name == after.name:
        return f"{after.resolve().parent.name}/{after.name} against {before.resolve().parent.name}/{before.name}"
    return f"{after.name} against {before.name}"
