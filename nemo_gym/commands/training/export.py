"""Export a collection as training data: SFT, preference pairs, KTO labels, or RL; JSONL or Parquet."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from nemo_gym.collections.line_file import OutputError
from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
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
    signal.signal(signal.SIGTERM, _interrupt)  # as on Ctrl-C, the draft is removed
    try:
        manifest = export(options)
    except OutputError as error:
        print(f"error: {error}", file=sys.stderr)
        return INCOMPLETE
    print("\n".join(_lines(options, manifest)))
    return DONE


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


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
