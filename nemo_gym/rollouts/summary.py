"""What a person reads of a collection: its summary, its failures, a rollout as a conversation."""

import textwrap
from collections.abc import Iterator
from heapq import nsmallest
from typing import Any

from nemo_gym.collections.counts import Counts
from nemo_gym.collections.files import OutputPaths

_REASON_CHARS = 200


def summary_rows(counts: Counts, metrics: dict[str, Any], seconds: float) -> list[tuple[str, str]]:
    """Return the lines of the summary table as (name, value)."""
    rows = [
        ("expected", str(counts.expected)),
        ("  scored", str(counts.scored)),
        ("  masked", str(counts.masked)),
        *((f"    {kind}", str(count)) for kind, count in counts.masked_by_kind.most_common()),
        ("  failed", str(counts.failed)),
        ("  not settled", str(counts.not_settled)),
        ("mean reward", _number(metrics["mean_reward"]) + _plus_minus(metrics["standard_error"])),
    ]
    if counts.failed:
        rows.append(("  with failed as 0", _number(metrics["mean_reward_failed_as_0"])))
    solved = f"(reward >= {metrics['pass_threshold']:g})"
    rows += [(f"pass@{k} {solved}", _number(value)) for k, value in metrics.get("pass@k", {}).items()]
    rows += [(f"mean@{k}", _number(value)) for k, value in metrics.get("mean@k", {}).items()]
    rows += _task_rows(metrics, solved)
    rows += _rollout_rows(metrics)
    rows.append(("tokens in / out", f"{metrics['input_tokens']:,} / {metrics['output_tokens']:,}"))
    for who in ("judge", "user"):
        if metrics[f"{who}_calls"]:
            tokens = f"{metrics[f'{who}_input_tokens']:,} / {metrics[f'{who}_output_tokens']:,}"
            rows.append((f"{who} tokens in / out (calls)", f"{tokens} ({metrics[f'{who}_calls']:,})"))
    rows.append(("time", f"{seconds:.1f} s"))
    return rows


_HARDEST = 3
_PER_ROLLOUT = (
    ("steps", "steps per rollout"),
    ("tool_errors", "tool errors per rollout"),
    ("input_tokens", "tokens in per rollout"),
    ("output_tokens", "tokens out per rollout"),
)


def _task_rows(metrics: dict[str, Any], solved: str) -> list[tuple[str, str]]:
    per_task = metrics["per_task"]
    if len(per_task["n"]) < 2:
        return []
    counts = "{tasks_all_solved} / {tasks_mixed} / {tasks_none_solved}".format(**metrics)
    tasks = zip(per_task["mean_reward"], per_task["task_index"], per_task["n"], strict=True)
    hardest = ", ".join(f"{task} ({mean:.3g} of {n})" for mean, task, n in nsmallest(_HARDEST, tasks))
    named = "hardest tasks (mean reward of n)"
    return [(f"tasks all / some / none solved {solved}", counts), (named, hardest)]


def _rollout_rows(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (f"{words}, mean / max", f"{spread['mean']:,.4g} / {spread['max']:,}")
        for name, words in _PER_ROLLOUT
        if (spread := metrics["per_rollout"].get(name)) and spread["max"]
    ]
    if metrics["truncated_share"]:
        rows.append(("truncated at max_output_tokens", f"{metrics['truncated_share']:.1%}"))
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


def _plus_minus(standard_error: float | None) -> str:
    return "" if standard_error is None else f" ± {standard_error:.2g}"


_WIDTH = 110
_MAX_CHARS = 2_000


def conversation_lines(row: dict[str, Any]) -> list[str]:
    """Return the lines of one rollout row: who said what, tool calls and their results, the reward."""
    params = row.get("responses_create_params") or {}
    given = params.get("input", [])
    lines: list[str] = []
    if params.get("instructions"):
        lines += _said("instructions", params["instructions"])
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        lines += _item_lines(item)
    for item in output_items(row):
        lines += _item_lines(item)
    masked = "  (masked: not to be trained on)" if row.get("mask_sample") else ""
    return [*lines, f"{'reward':>12}  {row['reward']:g}{masked}"]


def output_items(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items of a rollout row's trajectory; none where a verifier has left the response out."""
    response = row.get("response")
    items = response.get("output") if isinstance(response, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def last_message(row: dict[str, Any]) -> str:
    """Return the text the policy ended with; empty when it ended with something else."""
    output = output_items(row)
    return _text(output[-1].get("content")) if output and output[-1].get("type") == "message" else ""


def _item_lines(item: dict[str, Any]) -> Iterator[str]:
    match item.get("type", "message"):
        case "function_call":
            yield from _said("tool call", f"{item['name']}({item['arguments']})")
        case "function_call_output":
            yield from _said("tool result", _text(item["output"]))
        case "reasoning":
            parts = item.get("content") or item.get("summary") or []
            yield from _said("reasoning", _text(parts))
        case "message":
            yield from _said(item.get("role", "?"), _text(item.get("content")))
        case other:
            yield from _said(other, "…")


def _said(who: str, text: str) -> list[str]:
    shown = text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}… [{len(text)} characters]"
    wrapped = [line for part in shown.splitlines() or [""] for line in textwrap.wrap(part, _WIDTH) or [""]]
    return [f"{who if i == 0 else '':>12}  {line}" for i, line in enumerate(wrapped)]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or part.get("refusal") or f"[{part.get('type')}]") for part in parts)
