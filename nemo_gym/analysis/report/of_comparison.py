"""The report of a comparison: what differs, how sure that is, and which tasks moved."""

from nemo_gym.analysis.comparison import BootstrapSettings, ComparedField, Comparison, TaskChange
from nemo_gym.analysis.report.report import Report, Table, number

_MOVED = ("task", "baseline", "candidate", "difference")


def comparison_report(title: str, comparison: Comparison, settings: BootstrapSettings) -> Report:
    """Return the report of a comparison."""
    same = comparison.paired - comparison.better - comparison.worse
    facts = [
        ("tasks compared", f"{comparison.paired:,}"),
        ("better / same / worse", f"{comparison.better:,} / {same:,} / {comparison.worse:,}"),
        ("only in the baseline", f"{comparison.only_in_baseline:,}"),
        ("only in the candidate", f"{comparison.only_in_candidate:,}"),
    ]
    changes = [
        Table(f"Tasks that {verb} most", _MOVED, [_change(each) for each in of])
        for verb, of in (("lost", comparison.most_worse), ("gained", comparison.most_better))
        if of
    ]
    share = f"{settings.confidence:.0%}"
    columns = ("field", "tasks", "baseline", "candidate", "difference", f"{share} interval", "p")
    fields = Table("Means over tasks", columns, [_field(each) for each in comparison.fields])
    return Report(title, facts, _notes(comparison, settings), tables=[fields, *changes])


def _notes(comparison: Comparison, settings: BootstrapSettings) -> list[str]:
    resamples = next((each.difference.resamples for each in comparison.fields if each.difference is not None), None)
    if resamples is None:
        notes = ["One task can't say how sure a difference is."]
    elif resamples:
        notes = [
            f"Intervals and p are from a paired bootstrap over tasks: {resamples:,} resamples, seed {settings.seed}."
        ]
    else:
        notes = ["Intervals and p are from the normal approximation, as there are 100,000 tasks or more."]
    if not comparison.tasks_known:
        notes.append("Tasks are paired by their index: the collections' task rows aren't both there to compare.")
    return notes


def _field(compared: ComparedField) -> list[str]:
    found = compared.difference
    interval = "-" if found is None else f"{_signed(found.low)} to {_signed(found.high)}"
    return [
        compared.name,
        f"{compared.tasks:,}",
        number(compared.baseline),
        number(compared.candidate),
        _signed(compared.candidate - compared.baseline),
        interval,
        "-" if found is None else f"{found.p_value:.2g}",
    ]


def _change(change: TaskChange) -> list[str]:
    values = (number(change.baseline), number(change.candidate), _signed(change.difference))
    place = str(change.task_index)
    if change.candidate_task_index != change.task_index:
        place += f" (candidate: {change.candidate_task_index})"
    return [place, *values]


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value)
