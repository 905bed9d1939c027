"""Two collections compared, and the reports of profiles and comparisons."""

import random
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.analysis.bootstrap import paired_bootstrap
from nemo_gym.analysis.comparison import BootstrapSettings, Comparison, compare
from nemo_gym.analysis.report.html import html
from nemo_gym.analysis.report.markdown import markdown
from nemo_gym.analysis.report.of_comparison import comparison_report
from nemo_gym.analysis.report.of_profile import ProfileReport
from nemo_gym.analysis.report.report import Report, Table
from nemo_gym.analysis.task_profile import ProfileSettings, profile_tasks
from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import Manifest, make_manifest
from nemo_gym.collections.reading.finished import open_collection
from nemo_gym.config.errors import ConfigError
from tests.unit.training.conftest import masked, rollout, write

BOOTSTRAP = BootstrapSettings(num_resamples=500)


def collection(folder: Path, name: str, rewards: dict[int, list[float]], tasks: list[bytes] | None = None) -> Path:
    path = folder / name / "rollouts.jsonl"
    path.parent.mkdir()
    if tasks is not None:
        made = make_manifest(read_task_set(tasks), num_repeats=1, agent_name=None, params={}, server_config={}, code={})
        (path.parent / "rollouts_manifest.json").write_text(made.model_dump_json())
    return write(path, [rollout(task, n, reward) for task, of in rewards.items() for n, reward in enumerate(of)])


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


def test_tasks_whose_rows_differ_are_not_compared(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [1.0], 1: [1.0]}, [b"one", b"two"])
    after = collection(tmp_path, "b", {0: [1.0], 1: [1.0]}, [b"one", b"changed"])
    result = compared(before, after)
    assert (result.paired, result.different_tasks, result.tasks_known) == (1, 1, True)


def test_a_reverification_is_compared_with_its_source_by_the_tasks_behind_the_rollouts(tmp_path: Path) -> None:
    before = collection(tmp_path, "a", {0: [1.0], 1: [1.0]}, [b"one", b"two"])
    after = collection(tmp_path, "b", {0: [1.0], 1: [0.0]}, [b"rollout of two", b"rollout of one"])
    path = after.with_name("rollouts_manifest.json")
    again, source = (Manifest.model_validate_json(each.read_text()) for each in (path, before.with_name(path.name)))
    path.write_text(again.model_copy(update={"reverified_digests": source.row_digests}).model_dump_json())
    assert (compared(before, after).paired, compared(before, after).tasks_known) == (2, True)
    path.write_text(again.model_copy(update={"reverified_digests": ""}).model_dump_json())
    assert (compared(before, after).paired, compared(before, after).tasks_known) == (2, False)


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


@settings(max_examples=30, deadline=None)
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
        page.feed(html(report))
        assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
        assert page.links == []
        assert "table" in page.tags
        assert "<a>" not in html(report)


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
    assert "<script>" not in html(report) + markdown(report)
