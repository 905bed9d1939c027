"""Export a collection as training data: SFT, preference pairs, KTO labels, or RL; JSONL or Parquet."""

from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.commands.outcome import outcome_of
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.training.export import export
from nemo_gym.training.manifest import ExportManifest, manifest_path
from nemo_gym.training.options import ExportOptions


def main() -> None:
    """Entry point of ng_export."""
    run_command("ng_export", __doc__ or "", ExportOptions, export_collection)


def export_collection(command_line: CommandLine) -> int:
    """Export; print what was written and what was left out; return the exit status."""
    require_known(ExportOptions, command_line)
    options = read_options(ExportOptions, command_line.overrides)
    return outcome_of(lambda: _export(options))


def _export(options: ExportOptions) -> int:
    print("\n".join(_lines(options, export(options))))
    return DONE


def _lines(options: ExportOptions, manifest: ExportManifest) -> list[str]:
    out = f"{sum(manifest.left_out.values()):,} left out"
    lines = [f"{manifest.rows:,} rows from {manifest.used:,} of {manifest.rollouts:,} rollouts, {out}"]
    for reason, count in manifest.left_out.items():
        example = manifest.left_out_examples.get(reason)
        lines.append(f"  {reason}: {count:,}" + (f" ({example})" if example else ""))
    if manifest.failed:
        lines.append(f"failed, and never exported: {manifest.failed:,}")
    if manifest.with_tool_results:
        what = f"{manifest.with_tool_results:,} completions have tool results, which TRL's trainers count in the loss"
        lines.append(f"{what}: use PolicyTokensCollator, or export with completion=first_step")
    stated = ", ".join(dict.fromkeys(manifest.license.stated.values())) or "not stated"
    conditions = f" ({', '.join(manifest.license.conditions)})" if manifest.license.conditions else ""
    lines.append(f"license of the task data: {stated}{conditions}")
    return [*lines, f"export:   {options.output_fpath}", f"manifest: {manifest_path(options.output_fpath)}"]
