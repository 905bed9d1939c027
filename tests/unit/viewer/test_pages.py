"""What the pages say, compared with the collector's own metrics and with the rows."""

from pathlib import Path

import orjson
import pytest

from benchmarks.measuring.made_rows import STARTED_AT
from nemo_gym.analysis import comparison
from nemo_gym.analysis.task_profile import ProfileSettings
from nemo_gym.collections.counts import Counts
from nemo_gym.collections.metrics.metrics import Metrics
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.pages.compare import compare
from nemo_gym.viewer.pages.notes import Note, Notes
from nemo_gym.viewer.pages.overview import overview_of
from nemo_gym.viewer.pages.task import task_page, task_table
from nemo_gym.viewer.rollout.conversation import MAX_CHARS, items_of, whole_text
from nemo_gym.viewer.rollout.copies import copies_of
from nemo_gym.viewer.rollout.page import rollout_page
from nemo_gym.viewer.rollout.timeline import timeline_of
from nemo_gym.viewer.rollout.tokens import token_calls
from tests.made_collections import write_collection


def followed(path: Path, **how: float) -> Follower:
    follower = Follower(write_collection(path, **how).rollouts)  # type: ignore[arg-type]
    follower.catch_up()
    return follower


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    return followed(tmp_path_factory.mktemp("collection") / "rollouts.jsonl", left=7)


def test_the_overview_agrees_with_the_collectors_metrics(follower: Follower) -> None:
    metrics = Metrics(sent=follower.table.sent)
    for rollout in follower.reader.rollouts():
        if rollout.outcome == "scored":
            metrics.add(rollout.task_index or 0, rollout.reward or 0.0, rollout.line.text)
    record, overview = metrics.record(Counts(expected=120)), overview_of(follower)
    assert overview.mean_reward == pytest.approx(record.mean_reward)
    assert overview.standard_error == pytest.approx(record.standard_error)
    assert overview.pass_at_k == (record.pass_at_k or {})
    assert overview.truncated_share == record.truncated_share
    assert {name: spread.mean for name, spread in overview.numbers.items()} == pytest.approx(record.mean_of)
    assert overview.per_rollout["steps"].max == record.per_rollout["steps"].max
    assert (overview.tasks.all_solved, overview.tasks.mixed) == (record.tasks_all_solved, record.tasks_mixed)


def test_the_counts_of_the_overview_add_up(follower: Follower) -> None:
    overview = overview_of(follower)
    assert overview.not_settled == 7
    assert sum(overview.counts.values()) + 7 == overview.identity.expected == 120
    assert sum(one.count for one in overview.problems) == overview.counts["failed"] + overview.counts["masked"]
    assert {one.stage for one in overview.problems if one.kind == "verifier_error"} == {"verification"}


def test_a_task_shows_its_whole_group_and_what_the_verifier_knows(follower: Follower) -> None:
    page = task_page(follower, 3)
    assert page is not None
    assert [member.rollout.repeat for member in page.group] == [0, 1, 2, 3]
    assert "expected_rooms" in page.known
    assert (page.before, page.after) == (2, 4)
    assert task_page(follower, 1_000) is None


def test_tasks_are_sorted_by_spread_with_the_unknown_last(follower: Follower) -> None:
    table = task_table(follower, list(follower.table.current()), "spread", 0, 500, descending=True)
    spreads = [line.spread for line in table.tasks if line.spread is not None]
    assert spreads == sorted(spreads, reverse=True)
    assert table.total == len({row >> 32 for row in follower.table.keys})


def test_a_failed_rollout_shows_its_reason_and_the_task(follower: Follower) -> None:
    number = next(n for n in follower.table.current() if follower.table[n].outcome == "failed")
    page = rollout_page(follower, follower.table[number])
    assert "503" in page.reason
    assert [item.role for item in page.items] == ["developer", "user"]
    assert page.attempts[-1].elapsed_s == 301.2


def test_a_rollout_tells_verdict_from_task(follower: Follower) -> None:
    number = next(n for n in follower.table.current() if follower.table[n].outcome == "scored")
    page = rollout_page(follower, follower.table[number])
    assert sorted(page.verdict) == ["explanation", "reward_parts", "rooms_booked"]
    assert sorted(page.known) == ["difficulty", "expected_rooms"]


def test_the_calls_of_a_rollout_have_their_times_and_lead_to_what_came_of_them(follower: Follower) -> None:
    number = next(n for n in follower.table.current() if follower.table[n].counts["tool_calls"] == 2)
    page = rollout_page(follower, follower.table[number])
    kinds = ["seed", "model", "tool", "model", "tool", "model", "verify"]
    assert [call.kind for call in page.timeline] == kinds
    assert [call.name for call in page.timeline if call.kind == "tool"] == ["book_room"] * 2
    shown = {item.index: item.kind for item in page.items}
    assert [shown.get(call.item or 0) for call in page.timeline if call.kind == "tool"] == ["tool_result"] * 2
    ends = [(call.start_s or 0) + (call.elapsed_s or 0) for call in page.timeline]
    assert page.seconds == pytest.approx(ends[-1], abs=1e-3)
    assert overview_of(follower).per_rollout["seconds"].n == sum(overview_of(follower).counts[o] for o in ("scored",))


@pytest.mark.parametrize("times", [{}, {"_ng_calls": "mine"}, {"_ng_calls": [{"kind": "odd"}]}], ids=str)
def test_a_row_without_times_shows_its_calls_in_order(times: dict[str, object]) -> None:
    items = [{"type": "reasoning"}, {"type": "function_call", "call_id": "c", "name": "add"}]
    output = [*items, {"type": "function_call_output", "call_id": "c"}, {"role": "user", "content": "and?"}, 7]
    calls = timeline_of({"reward": 1.0, "response": {"output": output}, **times})
    assert [(call.kind, call.name, call.item) for call in calls] == [
        ("model", "model", 0),
        ("tool", "add", 2),
        ("turn", "user", 3),
        ("model", "model", 4),
        ("verify", "verify", None),
    ]
    assert {call.elapsed_s for call in calls} == {None}


def test_a_line_that_vanished_is_said_and_not_raised(follower: Follower, tmp_path: Path) -> None:
    gone = followed(tmp_path / "rollouts.jsonl", tasks=2)
    gone.paths.rollouts.unlink()
    assert "rollouts.jsonl" in rollout_page(gone, gone.table[0]).error


def test_a_long_text_is_shortened_and_found_whole() -> None:
    row = {"responses_create_params": {"input": "x" * (MAX_CHARS + 5)}}
    items, total = items_of(row, 0, 10)
    assert total == 1
    assert (len(items[0].parts[0].text), items[0].parts[0].chars) == (MAX_CHARS, MAX_CHARS + 5)
    assert whole_text(row, 0, 0) == "x" * (MAX_CHARS + 5)
    assert whole_text(row, 0, 1) is None


def test_only_pictures_become_images() -> None:
    urls = {"data:image/png;base64,AAAA": True, "data:image/svg+xml;base64,AAAA": False, "https://x.test/a.png": False}
    for url, is_shown in urls.items():
        content = [{"type": "input_image", "image_url": url}]
        items, _ = items_of({"responses_create_params": {"input": [{"role": "user", "content": content}]}}, 0, 1)
        assert (items[0].parts[0].image == url) is is_shown


def test_a_prefix_break_is_placed_where_the_ids_differ() -> None:
    def item(prompt: list[int], made: list[int]) -> dict[str, object]:
        chances = [-0.1] * len(made)
        ids = {"prompt_token_ids": prompt, "generation_token_ids": made, "generation_log_probs": chances}
        return {"type": "message", "role": "assistant", "content": "x", **ids}

    result = {"type": "function_call_output", "output": "x"}
    output = [item([1, 2], [3, 4]), result, item([1, 2, 3, 4, 5], [6]), result, item([1, 2, 3, 9, 5, 6], [7])]
    calls = token_calls({"response": {"output": output}})
    assert [call.prefix_break and call.prefix_break.position for call in calls] == [None, None, 3]
    assert calls[2].prefix_break is not None
    assert (calls[2].prefix_break.expected, calls[2].prefix_break.found) == (["4", "5", "6"], ["9", "5", "6"])
    assert [call.added_tokens for call in calls] == [2, 1, 0]


def test_comparing_finds_the_tasks_that_changed_side(tmp_path: Path) -> None:
    weak = followed(tmp_path / "a" / "rollouts.jsonl", skill=0.1)
    strong = followed(tmp_path / "b" / "rollouts.jsonl", skill=1.0, seed=5)
    found = compare(weak, strong)
    assert found.low is not None
    assert found.difference is not None
    assert found.high is not None
    assert 0 < found.low < found.difference < found.high
    assert found.gained == sum(task.changed_side and task.difference > 0 for task in found.tasks) > found.lost
    same = compare(weak, weak)
    assert (same.difference, same.gained, same.lost, same.low, same.p_value) == (0, 0, 0, 0, 1)


def test_comparing_says_what_ng_compare_says(tmp_path: Path) -> None:
    weak = followed(tmp_path / "a" / "rollouts.jsonl", skill=0.3)
    strong = followed(tmp_path / "b" / "rollouts.jsonl", skill=0.6, seed=5)
    readers = [CollectionReader(follower.paths.rollouts) for follower in (weak, strong)]
    for reader in readers:
        reader.index.refresh()
    command = comparison.compare(readers[0], readers[1], ProfileSettings(), comparison.BootstrapSettings())
    told = next(field.difference for field in command.fields if field.name == "mean_reward")
    page = compare(weak, strong)
    assert told is not None
    assert (page.low, page.high, page.p_value) == (told.low, told.high, told.p_value)
    assert (page.compared, page.better, page.worse) == (command.paired, command.better, command.worse)


def test_notes_are_kept_and_those_of_an_overwritten_collection_left_out(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "rollouts.jsonl")
    notes.add(Note(rollout="1-0", tags=["bad"], collection=STARTED_AT))
    notes.add(Note(rollout="1-0", tags=["good"], note="looked again", collection=STARTED_AT))
    notes.add(Note(rollout="2-0", tags=["bad"], collection=STARTED_AT - 9))
    again = Notes(tmp_path / "rollouts.jsonl").by_rollout(STARTED_AT)
    assert {key: note.tags for key, note in again.items()} == {"1-0": ["good"]}


def test_copies_hold_the_task_row_and_a_case_that_is_python(follower: Follower) -> None:
    number = next(n for n in follower.table.current() if follower.table[n].outcome == "scored")
    copies = copies_of(follower, follower.table[number])
    task = orjson.loads(copies.task_row)
    assert "response" not in task
    assert "_ng_task_index" not in task
    assert "resources_servers.room_booking.app" in copies.pytest_case
    compile(copies.pytest_case, "case", "exec")
    assert "/run" in copies.curl
