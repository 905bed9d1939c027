"""The collector against a real agent: bounds, attempts, stops, cancellation."""

import asyncio

import pytest
from aiohttp import web

from nemo_gym.collections.line_file import read_lines
from nemo_gym.config.errors import ConfigError
from tests.unit.rollouts.conftest import Agent, MakeCollection, Row, after, failing, never, scored, task_line, until


async def test_every_task_and_repeat_is_scored_once_and_carries_its_place(
    agent: Agent, collection: MakeCollection
) -> None:
    made = collection(5, num_repeats=3, responses_create_params={"temperature": 0.3})
    report = await made.run()
    assert report.is_complete
    rows = list(read_lines(made.paths.rollouts))
    assert sorted((row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows) == [
        (task, repeat) for task in range(5) for repeat in range(3)
    ]
    assert all(row["number"] == row["_ng_task_index"] for row in rows)
    assert {asked["responses_create_params"]["temperature"] for asked in agent.asked} == {0.3}
    assert rows[0]["agent_ref"] == {"type": "responses_api_agents", "name": "agent"}
    assert all(row["_ng_elapsed_s"] >= 0 and row["_ng_started_at"] > 1_700_000_000 for row in rows)


async def test_no_more_than_the_bound_are_in_flight_and_the_bound_is_used(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = lambda row: after(0.02, row)
    report = await collection(40, num_samples_in_parallel=5).run()
    assert report.counts.scored == 40
    assert agent.peak == 5


async def test_a_failure_is_attempted_again_and_the_history_is_kept(agent: Agent, collection: MakeCollection) -> None:
    async def answer(row: Row) -> web.Response:
        return await (failing("agent_error") if len(agent.asked) < 3 else scored)(row)

    agent.answer = answer
    made = collection(1, max_attempts=3)
    report = await made.run()
    assert (report.counts.scored, report.counts.failed) == (1, 0)
    events = [(event["event"], event["attempt"]) for event in read_lines(made.paths.journal)]
    assert events == [("dispatched", 0), ("failed", 0), ("dispatched", 1), ("failed", 1), ("dispatched", 2)]


@pytest.mark.parametrize(("terminal", "asked"), [(True, 1), (False, 2)], ids=["terminal", "not-terminal"])
async def test_a_terminal_failure_is_not_attempted_again(
    terminal: bool, asked: int, agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = failing("model_auth", terminal=terminal)
    report = await collection(1, max_attempts=2).run()
    assert len(agent.asked) == asked
    assert report.counts.failed_by_kind == {"model_auth": 1}


async def test_attempts_are_counted_on_over_a_resume(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = failing("agent_error")
    made = collection(1)
    await made.run()
    await collection(1).run()
    assert [failure["attempt"] for failure in read_lines(made.paths.failures)] == [0, 1]
    agent.answer = None
    report = await collection(1).run()
    assert (report.counts.scored, report.counts.failed) == (1, 0)


async def test_a_rollout_past_its_deadline_fails_and_names_the_setting(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = never
    made = collection(1, rollout_timeout_s=0.2)
    await made.run()
    (failure,) = read_lines(made.paths.failures)
    assert failure["failure_kind"] == "agent_timeout"
    assert "rollout_timeout_s" in failure["failure_reason"]


async def test_strict_stops_at_the_first_failure(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = failing("agent_error")
    report = await collection(9, strict=True, num_samples_in_parallel=1).run()
    assert (report.counts.failed, report.counts.not_settled) == (1, 8)
    assert "strict" in str(report.stopped_because)


@pytest.mark.parametrize("parallel", [2, None], ids=["waiting-for-a-slot", "all-in-flight"])
async def test_the_time_budget_ends_a_collection_that_hangs(
    parallel: int | None, agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = never
    report = await collection(6, time_budget_s=0.5, num_samples_in_parallel=parallel).run()
    assert report.counts.not_settled == 6
    assert "time_budget_s" in str(report.stopped_because)


async def test_the_time_budget_starts_nothing_that_would_not_end_in_time(
    agent: Agent, collection: MakeCollection
) -> None:
    # The first takes more than half of the budget, so another as long would not end in time.
    agent.answer = lambda row: after(1.2, row)
    report = await collection(20, time_budget_s=2.0, num_samples_in_parallel=1).run()
    assert (report.counts.scored, len(agent.asked)) == (1, 1)


async def test_a_stop_lets_what_runs_end_and_starts_nothing_more(agent: Agent, collection: MakeCollection) -> None:
    may_end = asyncio.Event()

    async def when_allowed(row: Row) -> web.Response:
        await may_end.wait()
        return await scored(row)

    agent.answer = when_allowed
    made = collection(50, num_samples_in_parallel=4)
    running = asyncio.ensure_future(made.run())
    await until(lambda: agent.in_flight == 4)
    made.stop("interrupted")
    may_end.set()
    report = await running
    assert (report.counts.scored, report.counts.not_settled) == (4, 46)
    assert report.stopped_because == "interrupted"


async def test_a_stop_before_the_first_rollout_starts_nothing(agent: Agent, collection: MakeCollection) -> None:
    made = collection(3)
    made.stop("interrupted")
    assert (await made.run()).counts.not_settled == 3
    assert not agent.asked


async def test_a_stop_ends_the_wait_for_another_attempt(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = failing("agent_error")
    made = collection(1, max_attempts=1_000)
    running = asyncio.ensure_future(made.run())
    await until(lambda: agent.asked)
    made.stop("interrupted")
    report = await running
    assert report.counts.failed_by_kind == {"agent_error": 1}


async def test_a_cancelled_collection_passes_the_cancellation_on_and_can_be_resumed(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = never
    running = asyncio.ensure_future(collection(3).run())
    await until(lambda: agent.in_flight == 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: agent.cancelled == 3)
    agent.answer = None
    assert (await collection(3).run()).counts.scored == 3


async def test_a_stop_with_nothing_left_to_do_ends_in_order(agent: Agent, collection: MakeCollection) -> None:
    agent.answer = lambda row: after(0.2, row)
    made = collection(2)
    running = asyncio.ensure_future(made.run())
    await until(lambda: agent.in_flight == 2)
    made.stop("interrupted")
    assert (await running).counts.scored == 2


async def test_an_agent_that_goes_away_with_the_rollout_inside_has_died(
    agent: Agent, collection: MakeCollection
) -> None:
    async def answer(row: Row) -> web.Response:
        agent.transports[-1].abort()
        return await after(30, row)

    agent.answer = answer
    report = await collection(1).run()
    assert report.counts.failed_by_kind == {"server_died": 1}


async def test_rows_that_name_no_agent_or_one_that_is_unknown_fail_and_the_others_run(
    agent: Agent, collection: MakeCollection
) -> None:
    lines = [task_line(0, agent_ref={"name": "agent"}), task_line(1, agent_ref={"name": "agnt"}), task_line(2)]
    made = collection(lines, agent_name=None)
    report = await made.run()
    assert report.counts.scored == 1
    reasons = [failure["failure_reason"] for failure in read_lines(made.paths.failures)]
    assert any("did you mean 'agent'" in reason for reason in reasons)
    assert any("no agent_ref" in reason for reason in reasons)
    assert report.counts.failed_by_kind == {"input_invalid": 2}


async def test_masked_rollouts_are_kept_and_enter_no_mean(agent: Agent, collection: MakeCollection) -> None:
    async def answer(row: Row) -> web.Response:
        mask = {"mask_sample": True, "failure_kind": "tool_error", "failure_reason": "x"} if row["number"] else {}
        return web.json_response({**row, "reward": 0.0 if mask else 1.0, **mask})

    agent.answer = answer
    report = await collection(4, num_repeats=2).run()
    assert (report.counts.scored, report.counts.masked) == (2, 6)
    assert report.metrics["mean_reward"] == 1.0
    assert report.metrics["pass@k"] == {"1": 1.0, "2": 1.0}
    resumed = await collection(4, num_repeats=2).run()
    assert {**resumed.metrics} == {**report.metrics}
    assert len(agent.asked) == 8


async def test_equal_rows_are_one_task_of_the_metrics_and_rows_of_their_own_for_everything_else(
    agent: Agent, collection: MakeCollection
) -> None:
    async def answer(row: Row) -> web.Response:
        is_first = row["number"] == 1 and [asked["number"] for asked in agent.asked].count(1) == 1
        return web.json_response({**row, "reward": float(is_first)})

    agent.answer = answer
    lines = [task_line(n) for n in (0, 0, 0, 1, 1, 1)]
    report = await collection(lines, num_repeats=2).run()
    assert report.counts.expected == report.counts.scored == 12
    assert report.metrics["per_task"] == {
        "task_index": [0, 3],
        "n": [6, 6],
        "mean_reward": [0.0, pytest.approx(1 / 6)],
        "solved": [0, 1],
    }
    assert report.metrics["pass@k"] == pytest.approx({"1": 1 / 12, "2": 1 / 6, "4": 1 / 3, "6": 1 / 2})
    assert (report.metrics["tasks_mixed"], report.metrics["tasks_none_solved"]) == (1, 1)
    places = {(rollout.task_index, rollout.rollout_index) for rollout in report.rollouts()}
    assert places == {(row, repeat) for row in range(6) for repeat in range(2)}
    written = report.paths.rollouts.read_bytes().splitlines(keepends=True)
    solved_first = sorted(written, key=lambda line: b'"reward":0.0' in line)
    report.paths.rollouts.write_bytes(b"".join(solved_first[:7]))
    assert (await collection(lines, num_repeats=2).run()).metrics == report.metrics
    assert len(agent.asked) == 12 + 5


async def test_an_answer_that_is_no_verdict_is_a_failure(agent: Agent, collection: MakeCollection) -> None:
    async def answer(row: Row) -> web.Response:
        return web.Response(text="<html>") if row["number"] else web.json_response([1])

    agent.answer = answer
    report = await collection(2).run()
    assert report.counts.failed_by_kind == {"verifier_error": 1, "agent_error": 1}


async def test_an_output_without_manifest_is_refused(agent: Agent, collection: MakeCollection) -> None:
    made = collection(1)
    made.paths.rollouts.parent.mkdir()
    made.paths.rollouts.write_text('{"reward": 1}\n')
    with pytest.raises(ConfigError, match="has no manifest"):
        await made.run()
    assert made.paths.rollouts.read_text() == '{"reward": 1}\n'
    report = await collection(1, overwrite=True).run()
    assert report.counts.scored == 1
    assert any("moved aside" in note for note in report.notes)


async def test_a_failure_that_a_stop_keeps_from_another_attempt_stays_counted(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = failing("agent_error")
    await collection(2).run()
    agent.answer = lambda row: after(30, row)
    report = await collection(2, time_budget_s=0.2).run()
    assert report.counts.failed_by_kind == {"agent_error": 2}
    assert report.counts.not_settled == 0


async def test_what_could_not_be_verified_is_saved_at_once_and_only_once(
    agent: Agent, collection: MakeCollection
) -> None:
    async def answer(row: Row) -> web.Response:
        error = {"kind": "judge_failed", "reason": "it broke", "stage": "verification"}
        return web.json_response({"error": error, "trajectory": {"response": {"output": []}}}, status=500)

    agent.answer = answer
    made = collection(1, max_attempts=2)
    report = await made.run()
    assert report.counts.failed == 1
    assert len(agent.asked) == 1, "the second attempt asks for the verdict alone"
    assert [saved["attempt"] for saved in read_lines(made.paths.unverified)] == [0]


async def test_a_collection_that_cannot_get_better_stops_and_the_same_command_goes_on_later(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = failing("model_auth", terminal=True)
    report = await collection(200, num_samples_in_parallel=2).run()
    assert 5 <= report.counts.failed <= 7
    assert "model_auth" in str(report.stopped_because)
    report = await collection(200, num_samples_in_parallel=2, strict=False).run()
    assert report.counts.failed == 200
    agent.answer = None
    assert (await collection(200).run()).counts.scored == 200


async def test_bad_rows_between_good_ones_do_not_stop_a_collection(agent: Agent, collection: MakeCollection) -> None:
    async def answer(row: Row) -> web.Response:
        return await (scored if row["number"] % 20 == 0 else failing("verifier_error"))(row)

    agent.answer = answer
    report = await collection(200, num_samples_in_parallel=1).run()
    assert (report.counts.scored, report.counts.failed) == (10, 190)


async def test_a_row_nested_too_deeply_fails_with_its_line_and_the_others_run(
    agent: Agent, collection: MakeCollection
) -> None:
    deep = task_line(1)[:-1] + ', "x": ' + "[" * 500 + "]" * 500 + "}"
    made = collection([task_line(0), deep, task_line(2, reward=1.0)])
    report = await made.run()
    assert (report.counts.scored, report.counts.failed_by_kind) == (1, {"input_invalid": 2})
    reasons = sorted(failure["failure_reason"] for failure in read_lines(made.paths.failures))
    assert ["line 2 is nested" in reasons[0], "line 3 already has a reward" in reasons[1]] == [True, True]


async def test_retries_and_the_median_time_are_shown_as_they_are(agent: Agent, collection: MakeCollection) -> None:
    async def answer(row: Row) -> web.Response:
        return await (failing("agent_error") if len(agent.asked) == 1 else scored)(row)

    agent.answer = answer
    made = collection(3, max_attempts=2, num_samples_in_parallel=1)
    await made.run()
    assert made._collector is not None
    shown = made.tally.progress(made._collector)
    assert (shown.retries, shown.in_flight, shown.done) == (1, 0, 3)
    assert shown.latency_p50_s is not None


async def test_a_collection_that_is_cut_off_is_whole_and_can_be_resumed(
    agent: Agent, collection: MakeCollection
) -> None:
    agent.answer = lambda row: after(30 if row["number"] else 0, row)
    made = collection(4)
    assert not made.cut_off()
    running = asyncio.ensure_future(made.run())
    await asyncio.sleep(0.3)
    assert made.cut_off()
    report = made.report()
    assert (report.counts.scored, report.counts.not_settled) == (1, 3)
    agent.answer = None
    assert (await collection(4).run()).counts.scored == 4
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
