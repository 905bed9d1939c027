"""Two collections compared, and the reports of profiles and comparisons."""

import random
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.analysis.comparison import BootstrapSettings, Comparison, compare
from nemo_gym.analysis.expression import Condition
from nemo_gym.analysis.report.html import html
from nemo_gym.analysis.report.markdown import markdown
from nemo_gym.analysis.report.of_comparison import comparison_report
from nemo_gym.analysis.report.of_profile import ProfileReport
from nemo_gym.analysis.report.report import Report, Table
from nemo_gym.analysis.selection import fields, select_tasks
from nemo_gym.analysis.task_profile import ProfileSettings, profile_tasks
from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import make_manifest
from nemo_gym.collections.metrics.bootstrap import paired_bootstrap
from nemo_gym.collections.reading.finished import open_collection
from nemo_gym.config.errors import ConfigError
from tests.unit.training.conftest import Row, masked, read, rollout, write

BOOTSTRAP = BootstrapSettings(num_resamples=500)


def collection(folder: Path, name: str, rewards: dict[int, list[float]], sent: list[Row] | None = None) -> Path:
    """A rollout file; with `sent`, also the task rows as they were sent, each as often as the task has rollouts."""
    path = folder / name / "rollouts.jsonl"
    path.parent.mkdir()
    if sent is not None:
        repeats = [(task, n) for n in range(2) for task in rewards if n < len(rewards[task])]
        marked = [{**sent[task], "_ng_task_index": task, "_ng_rollout_index": n} for task, n in repeats]
        write(path.with_name("rollouts_materialized_inputs.jsonl"), marked)
    return write(path, [rollout(task, n, reward) for task, of in rewards.items() for n, reward in enumerate(of)])


def asked(question: str, answer: str = "42", **params: Any) -> Row:
    return {"responses_create_params": {"input": question, **params}, "answer": answer, "agent_ref": {"name": "a"}}


def overriding(collected: Path, **params: Any) -> Path:
    """Let a collection's manifest say that it overrode these parameters."""
    tasks = read_task_set([])
    made = make_manifest(tasks, num_repeats=1, agent_name=None, params=params, server_config={}, code={})
    collected.with_name("rollouts_manifest.json").write_text(made.model_dump_json())
    return collected


def compared(before: Path, after: Path) -> Comparison:
    return compare(open_collection(before), open_collection(after), ProfileSettings(), BOOTSTRAP)


def test_tasks_are_paired_and_the_rest_is_counted(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [0.0, 0.0], 1: [1.0], 2: [1.0], 5: [1.0]})
    after = collection(tmp_path, "b", {0: [1.0, 0.0], 1: [1.0, 1.0], 2: [0.0], 7: [1.0]})
    result = compared(before, after)
    assert (result.paired, result.only_in_baseline, result.only_in_candidate) == (3, 1, 1)
    assert (result.better, result.worse) == (1, 1)
    assert [change.task_index for change in (*result.most_better, *result.most_worse)] == [0, 2]
    reward = result.fields[0]
    assert (reward.name, reward.tasks, reward.baseline, reward.candidate) == ("mean_reward", 3, 2 / 3, 0.5)


def test_tasks_that_ask_something_else_are_not_compared(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [1.0], 1: [1.0]}, [asked("one"), asked("two")])
    after = collection(tmp_path, "b", {0: [1.0], 1: [1.0]}, [asked("one"), asked("two", answer="43")])
    result = compared(before, after)
    assert (result.paired, result.only_in_baseline, result.only_in_candidate) == (1, 1, 1)
    assert result.tasks_known


def test_selected_tasks_are_paired_with_those_they_were_selected_from(tmp_path: Path) -> None:
    rows = [asked(f"Task {n}?") for n in range(4)]
    before = collection(tmp_path, "a", {n: [n / 4, n / 4] for n in range(4)}, rows)
    selected = tmp_path / "selected.jsonl"
    condition = Condition("mean_reward > 0.3", fields())
    select_tasks(open_collection(before), condition, ProfileSettings(), None, selected)
    after = collection(tmp_path, "b", {0: [0.0], 1: [1.0]}, read(selected))  # tasks 2 and 3 of the baseline
    result = compared(before, after)
    assert (result.paired, result.only_in_baseline, result.only_in_candidate) == (2, 2, 0)
    changes = [(c.task_index, c.candidate_task_index, c.difference) for c in (*result.most_worse, *result.most_better)]
    assert changes == [(2, 0, -0.5), (3, 1, 0.25)]


def test_sampling_parameters_and_overrides_make_no_other_task(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [1.0]}, [asked("one", temperature=1.0)])
    sent = [asked("two"), {**asked("one", instructions="Be brief."), "agent_ref": {"name": "b"}}]
    after = collection(tmp_path, "b", {0: [1.0], 1: [0.0]}, sent)
    with pytest.raises(ConfigError, match="no task in common"):
        compared(before, after)
    result = compared(before, overriding(after, instructions="Be brief."))
    assert [(each.task_index, each.candidate_task_index) for each in result.most_worse] == [(0, 1)]


def test_tasks_that_are_there_twice_are_paired_in_their_order(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [0.0], 1: [0.5]}, [asked("one"), asked("one")])
    after = collection(tmp_path, "b", {1: [0.1], 2: [1.0]}, [asked("-"), asked("one"), asked("one")])
    result = compared(before, after)
    pairs = sorted((each.task_index, each.candidate_task_index) for each in result.most_better)
    assert pairs == [(0, 1), (1, 2)]


def test_without_the_rows_of_every_task_the_index_decides(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [1.0], 1: [1.0]}, [asked("one"), asked("two")])
    after = collection(tmp_path, "b", {0: [1.0], 1: [0.0]})
    result = compared(before, after)
    assert (result.paired, result.tasks_known) == (2, False)
    assert any("paired by their index" in note for note in comparison_report("", result, BOOTSTRAP).notes)


def test_collections_without_a_common_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no task in common: 1 tasks only in the baseline"):
        compared(collection(tmp_path, "a", {0: [1.0]}), collection(tmp_path, "b", {1: [1.0]}))


def test_masked_rollouts_are_not_compared(tmp_path: Path) -> None:
    before, after = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write(before, [rollout(0, 0, 1.0), masked(rollout(1, 0, 1.0)), rollout(2, 0, 1.0)])
    write(after, [rollout(0, 0, 1.0), masked(rollout(0, 1, 0.0)), rollout(1, 0, 0.0), rollout(2, 0, 1.0)])
    result = compared(before, after)
    assert (result.paired, result.better, result.worse, result.only_in_candidate) == (2, 0, 0, 1)


def test_bootstrap_of_the_same_seed_is_the_same_and_finds_a_clear_difference() -> None:
    draw = random.Random(1)
    differences = [draw.gauss(0.5, 1.0) for _ in range(400)]
    first, again = (paired_bootstrap(differences, num_resamples=1_000, confidence=0.95, seed=7) for _ in range(2))
    assert first == again
    assert first is not None
    # The interval of the mean by the textbook: 0.5 ± 1.96 / sqrt(400), as far as this sample's mean is off.
    assert (first.low, first.high) == pytest.approx((first.mean - 0.098, first.mean + 0.098), abs=0.02)
    assert first.p_value < 0.01


@settings(max_examples=30)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.integers(0, 5))
def test_bootstrap_interval_is_within_the_differences(differences: list[float], seed: int) -> None:
    found = paired_bootstrap(differences, num_resamples=200, confidence=0.9, seed=seed)
    assert found is not None
    assert min(differences) - 1e-9 <= found.low <= found.high <= max(differences) + 1e-9
    assert 0 < found.p_value <= 1


def test_bootstrap_of_very_many_pairs_draws_nothing_and_one_pair_says_nothing() -> None:
    many = paired_bootstrap([0.0, 1.0] * 50_000, num_resamples=500, confidence=0.95, seed=0)
    assert many is not None
    assert (many.resamples, many.mean) == (0, 0.5)
    assert many.low == pytest.approx(0.5 - 1.96 * 0.5 / 100_000**0.5, abs=1e-5)
    assert paired_bootstrap([1.0], num_resamples=500, confidence=0.95, seed=0) is None


SHEET = ".panel {}"


class Tags(HTMLParser):
    """Collects the tags of a page and what they link to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def reports(folder: Path) -> list[Report]:
    before = collection(folder, "a", {0: [0.0, 1.0], 1: [1.0, 1.0]})
    after = collection(folder, "b", {0: [1.0, 1.0], 1: [1.0, 0.0]})
    profile = ProfileReport("Profile of <a>", ProfileSettings(), most_tasks=1)
    for task in profile_tasks(open_collection(before), ProfileSettings()):
        profile.add(task)
    return [profile.report(), comparison_report("b | a", compared(before, after), BOOTSTRAP)]


def test_pages_need_nothing_else_and_run_nothing(tmp_path: Path) -> None:
    for report in reports(tmp_path):
        page = Tags()
        page.feed(html(report, SHEET))
        assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
        assert page.links == []
        assert "table" in page.tags
        assert "<a>" not in html(report, SHEET)


def test_markdown_tables_have_as_many_cells_in_each_row(tmp_path: Path) -> None:
    for report in reports(tmp_path):
        for block in markdown(report).split("\n\n"):
            if block.startswith("|"):
                widths = {line.replace("\\|", "").count("|") for line in block.splitlines()}
                assert len(widths) == 1


def test_a_profile_shows_the_tasks_with_most_variance_and_says_how_many_it_hides(tmp_path: Path) -> None:
    table = reports(tmp_path)[0].tables[0]
    assert [row[0] for row in table.rows] == ["0"]
    assert "1 more aren't shown" in table.heading


def test_text_from_outside_stays_text() -> None:
    hostile = "<script>alert(1)</script>|\n| x"
    report = Report(hostile, [(hostile, hostile)], tables=[Table(hostile, (hostile,), [(hostile,)])])
    assert "<script>" not in html(report, SHEET) + markdown(report)
