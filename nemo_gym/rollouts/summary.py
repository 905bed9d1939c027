"""The summary at the end of a collection: counts that add up, means, failures by kind, where everything is."""

from typing import Any

from nemo_gym.rollouts.counts import Counts
from nemo_gym.rollouts.output import OutputPaths

_REASON_CHARS = 200


def summary_rows(counts: Counts, metrics: dict[str, Any], seconds: float) -> list[tuple[str, str]]:
    """Return the lines of the summary table as (name, value)."""
    rows = [
        ("expected", str(counts.expected)),
        ("  scored", str(counts.scored)),
        ("  masked", str(counts.masked)),
        ("  failed", str(counts.failed)),
        ("  not settled", str(counts.not_settled)),
        ("mean reward", _number(metrics["mean_reward"])),
    ]
    if counts.failed:
        rows.append(("  with failed as 0", _number(metrics["mean_reward_failed_as_0"])))
    rows += [(f"pass@{k}", _number(value)) for k, value in metrics.get("pass@k", {}).items()]
    rows += [(f"mean@{k}", _number(value)) for k, value in metrics.get("mean@k", {}).items()]
    rows.append(("tokens in / out", f"{metrics['input_tokens']:,} / {metrics['output_tokens']:,}"))
    rows.append(("time", f"{seconds:.1f} s"))
    return rows


def failure_lines(counts: Counts, paths: OutputPaths) -> list[str]:
    """Return the failures by kind, each with one example and where to read more."""
    lines = []
    for kind, count in counts.failed_by_kind.most_common():
        record = counts.example_by_kind[kind]
        reason = " ".join(record.failure_reason.split())[:_REASON_CHARS]
        where = f"task {record.task_index}, repeat {record.rollout_index}, at {record.stage}"
        lines.append(f"{kind}, {count} time{'s' * (count != 1)}: {reason} ({where})")
    if lines:
        lines.append(f"all failures: {paths.failures}")
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
