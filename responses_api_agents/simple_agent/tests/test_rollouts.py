"""Whole rollouts over real sockets."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

TOOL_NAMES = ["visit", "refuse", "crash", "hang", "talk", "get_weather"]
TOOLS = [{"type": "function", "name": name, "parameters": None, "strict": False} for name in TOOL_NAMES]
StartRun = Callable[..., Any]


def row(*script: dict[str, Any], tools: list[dict[str, Any]] | None = TOOLS, **more: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"input": [{"role": "user", "content": "go"}], "script": [*script, {"message": "done"}]}
    return {"responses_create_params": params | ({"tools": tools} if tools else {}), **more}


def call(name: str, arguments: Any = None) -> dict[str, Any]:
    return {"call": {"name": name, "arguments": {} if arguments is None else arguments}}


def results(rollout: dict[str, Any]) -> list[str]:
    return [item["output"] for item in rollout["response"]["output"] if item["type"] == "function_call_output"]


def types(rollout: dict[str, Any]) -> list[str]:
    return [item["type"] for item in rollout["response"]["output"]]


async def test_a_tool_call_and_a_message_are_a_rollout_with_reward_one(start_run: StartRun) -> None:
    run = start_run("weather")
    rollout = await run.rollout(row(call("get_weather", {"city": "Rome"}), expected_city="Rome"))
    assert rollout["reward"] == 1.0
    assert types(rollout) == ["function_call", "function_call_output", "message"]
    assert orjson.loads(results(rollout)[0]) == {"city": "Rome", "weather_description": "cold"}
    assert "mask_sample" not in rollout


async def test_every_call_of_a_rollout_has_its_time(start_run: StartRun) -> None:
    rollout = await start_run().rollout(row(call("visit", {"place": "a"}), call("unknown_tool")))
    calls = rollout["_ng_calls"]
    assert [one["kind"] for one in calls] == ["seed", "model", "tool", "model", "tool", "model", "verify"]
    answered = [item["call_id"] for item in rollout["response"]["output"] if item["type"] == "function_call_output"]
    assert [one["call_id"] for one in calls if one["kind"] == "tool"] == answered
    assert all(one["elapsed_s"] >= 0 for one in calls)
    assert [one["at"] for one in calls] == sorted(one["at"] for one in calls)


async def test_the_row_arrives_in_the_answer_as_it_was_sent(start_run: StartRun) -> None:
    items = [
        {"role": "developer", "content": "no type"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x", "odd": 1}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]},
        {"role": "assistant", "content": "earlier", "phase": "x"},
        {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "o"},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}]},
        {"id": "stored"},
        {"role": "user", "content": "go"},
    ]
    sent = row(tools=[{"type": "function", "name": "visit", "parameters": {"b": 1, "a": 2}, "strict": None}])
    sent |= {"verifier_metadata": {"deep": [None, {"x": 1.5}]}, "agent_ref": {"type": "x", "name": "agent"}}
    sent["responses_create_params"] |= {"input": items, "temperature": 0.5, "engine_option": {"a": None}}
    rollout = await start_run().rollout(sent)
    assert {key: rollout[key] for key in sent} == sent
    assert set(rollout) == {*sent, "response", "reward", "_ng_calls"}


async def test_text_as_input_stays_text(start_run: StartRun) -> None:
    sent = {"responses_create_params": {"input": "go", "script": [{"message": "done"}]}}
    assert (await start_run().rollout(sent))["responses_create_params"] == sent["responses_create_params"]


async def test_calls_of_one_step_are_answered_in_order_in_one_session(start_run: StartRun) -> None:
    calls = [{"name": "visit", "arguments": {"city": city}} for city in "abc"]
    rollout = await start_run().rollout(row({"calls": calls}))
    assert types(rollout) == ["function_call"] * 3 + ["function_call_output"] * 3 + ["message"]
    assert orjson.loads(results(rollout)[-1]) == {"visited": ["a", "b", "c"]}
    assert rollout["reward"] == 3.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param("{broken", "not valid JSON", id="no-json"),
        pytest.param("[1]", "must be a JSON object, not array", id="a-list"),
        pytest.param('{"city": 3}', "city: Input should be a valid string", id="wrong-type"),
        pytest.param(f'{{"city": {"1" * 5_000}}}', "not valid JSON: number is infinity", id="5000-digits"),
        pytest.param(f'{{"city": {"1" * 30}}}', "city: Input should be a valid string", id="30-digits"),
        pytest.param('{"city": 1e999}', "not valid JSON", id="infinite"),
        pytest.param(f'{{"city": {"[" * 900}{"]" * 900}}}', "nested deeper than 64 levels", id="900-brackets"),
        pytest.param(f'{{"city": {"[" * 100_000}{"]" * 100_000}}}', "not valid JSON: depth", id="100000-brackets"),
        pytest.param("[" * 100_000, "not valid JSON", id="100000-open-brackets"),
        pytest.param('{"city": "\\ud800"}', "not valid JSON", id="half-a-surrogate"),
    ],
)
async def test_bad_arguments_are_a_result_the_policy_reads(start_run: StartRun, arguments: str, says: str) -> None:
    rollout = await start_run().rollout(row(call("visit", arguments)))
    assert says in orjson.loads(results(rollout)[0])["error"]
    assert rollout["reward"] == 0.0
    assert "mask_sample" not in rollout


RESERVED_NAMES = ["verify", "seed_session", "next_turn", "close_session", "health", "tools"]
PATHS_AS_NAMES = [
    "../verify",
    "visit/../verify",
    "visit%2F..%2Fverify",
    "%76erify",
    "visit?x=1",
    "visit#x",
    "/visit",
    "..",
    "http://127.0.0.1:1/visit",
    "visit\r\nx: y",
]


@pytest.mark.parametrize(
    ("names", "declared"),
    [
        pytest.param([*RESERVED_NAMES, *PATHS_AS_NAMES, "", "VISIT", "v" * 10_000], False, id="undeclared"),
        pytest.param([*RESERVED_NAMES, *PATHS_AS_NAMES], True, id="declared-by-the-row"),
    ],
)
async def test_a_tool_name_reaches_nothing_but_the_declared_tools(
    start_run: StartRun, names: list[str], declared: bool
) -> None:
    more = [TOOLS[0] | {"name": name} for name in names] if declared else []
    run = start_run()
    rollout = await run.rollout(row({"calls": [call(name)["call"] for name in names]}, tools=TOOLS + more))
    errors = [orjson.loads(result)["error"] for result in results(rollout)]
    assert [error.startswith("there is no tool named") for error in errors] == [True] * len(names)
    assert max(map(len, errors)) < 1_000
    assert run.paths == ["/seed_session", "/verify", "/close_session"]


async def test_a_declared_tool_the_environment_lacks_is_a_result_the_policy_reads(start_run: StartRun) -> None:
    run = start_run()
    rollout = await run.rollout(row(call("get_weather", {"city": "Rome"})))
    assert orjson.loads(results(rollout)[0])["error"].startswith("there is no tool named 'get_weather'")
    assert run.tool_paths == []


async def test_a_tools_refusal_is_read_by_the_policy(start_run: StartRun) -> None:
    rollout = await start_run().rollout(row(call("refuse", {"city": "Rome"})))
    assert orjson.loads(results(rollout)[0]) == {"error": "Rome is closed"}
    assert "mask_sample" not in rollout


@pytest.mark.parametrize(
    ("tool", "kind", "says"),
    [("crash", "tool_error", "the tool crash failed (reference "), ("hang", "tool_timeout", "did not answer in time")],
)
async def test_a_tool_that_breaks_is_described_in_general_words_and_masks_the_rollout(
    start_run: StartRun, tool: str, kind: str, says: str
) -> None:
    rollout = await start_run().rollout(row(call(tool)))
    assert says in results(rollout)[0]
    assert "canary" not in orjson.dumps(rollout).decode()
    assert (rollout["mask_sample"], rollout["failure_kind"], rollout["reward"]) == (True, kind, 0.0)
    assert rollout["failure_reason"]


async def test_a_broken_tool_can_be_reported_to_the_policy_without_a_mask(start_run: StartRun) -> None:
    rollout = await start_run(on_tool_failure="tell").rollout(row(call("crash")))
    assert "mask_sample" not in rollout


async def test_a_broken_tool_can_fail_the_rollout(start_run: StartRun) -> None:
    run = start_run(on_tool_failure="fail")
    body = await (await run.post(row(call("crash")))).json()
    assert (body["error"]["kind"], body["error"]["origin"]["server"]) == ("tool_error", "env")
    assert run.environment._cleaned == [[]]


async def test_a_long_tool_result_is_cut_and_says_so(start_run: StartRun) -> None:
    rollout = await start_run(max_tool_result_chars=20).rollout(row(call("talk")))
    assert results(rollout)[0].startswith('"blah blah blah blah')
    assert results(rollout)[0].endswith("[cut: 502 characters, of which 20 are shown]")


async def test_running_out_of_steps_is_a_scored_rollout(start_run: StartRun) -> None:
    rollout = await start_run(max_steps=2).rollout(row(*[call("visit")] * 5))
    assert types(rollout) == ["function_call", "function_call_output"] * 2
    assert (rollout["reward"], rollout["stopped_by"]) == (2.0, "max_steps")


OVERFLOW = {"kind": "status", "status": 400, "code": "context_length_exceeded"}


async def test_a_full_context_ends_the_loop_and_what_there_is_is_verified(start_run: StartRun) -> None:
    run = start_run(faults=[OVERFLOW | {"on_requests": [2]}])
    assert (await run.rollout(row(call("visit"), call("visit"))))["reward"] == 1.0


@pytest.mark.parametrize(
    ("setting", "at_request"), [("fail", 2), ("stop", 1)], ids=["as-set", "with-nothing-to-verify"]
)
async def test_a_full_context_is_a_failure(start_run: StartRun, setting: str, at_request: int) -> None:
    run = start_run(faults=[OVERFLOW | {"on_requests": [at_request]}], on_context_overflow=setting)
    answer = await run.post(row(call("visit")))
    error = (await answer.json())["error"]
    assert (answer.status, error["kind"], error["terminal"], error["stage"]) == (
        400,
        "context_length_exceeded",
        True,
        "agent",
    )


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 500}, "model_unavailable"),
        ({"kind": "status", "status": 429}, "model_rate_limited"),
        ({"kind": "html"}, "model_bad_output"),
        ({"kind": "not_a_response"}, "model_bad_output"),
        ({"kind": "half_body"}, "transport_dropped"),
    ],
)
async def test_a_failure_of_the_model_keeps_its_kind_and_closes_the_session(
    start_run: StartRun, fault: dict[str, Any], kind: str
) -> None:
    run = start_run(faults=[fault])
    body = await (await run.post(row())).json()
    assert (body["error"]["kind"], body["error"]["origin"]["server"]) == (kind, "model")
    assert "trajectory" not in body
    assert run.environment._cleaned == [[]]


async def test_a_row_without_tools_gets_the_environments_own(start_run: StartRun) -> None:
    run = start_run("weather", tools_from_resources_server=True)
    sent = row(call("get_weather", {"city": "Rome"}), tools=None)
    assert [(await run.rollout(sent))["reward"] for _ in range(2)] == [1.0, 1.0]
    assert run.times_asked_for_tools == 1


async def test_without_that_setting_such_a_row_has_no_tools(start_run: StartRun) -> None:
    run = start_run("weather")
    rollout = await run.rollout(row(call("get_weather", {"city": "Rome"}), tools=None))
    assert "the tools are: none" in results(rollout)[0]
    assert run.tool_paths == []


async def test_usage_is_the_sum_of_all_steps(start_run: StartRun) -> None:
    usage = {"input_tokens": 10, "cached_tokens": 3, "output_tokens": 5, "reasoning_tokens": 2}
    sent = row(call("visit") | {"usage": usage}, {"message": "done", "usage": usage})
    total = (await start_run().rollout(sent))["response"]["usage"]
    assert (total["input_tokens"], total["output_tokens"], total["total_tokens"]) == (20, 10, 30)
    assert total["input_tokens_details"]["cached_tokens"] == 6
    assert total["output_tokens_details"]["reasoning_tokens"] == 4


async def test_the_model_sees_all_that_happened(start_run: StartRun) -> None:
    run = start_run()
    await run.rollout(row(call("visit", {"city": "a"})))
    asked = await (await run.client.get("model", "/script/requests?last=1")).json()
    items = asked["requests"][-1]["body"]["input"]
    assert [item.get("type", item.get("role")) for item in items] == ["user", "function_call", "function_call_output"]
