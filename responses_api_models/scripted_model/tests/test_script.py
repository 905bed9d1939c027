"""Which answer is played: the row's script, the rules, the default."""

import json

import pytest
from pydantic import ValidationError

from responses_api_models.scripted_model.settings import ScriptedSettings

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
USER = {"role": "user", "content": "Weather in Oslo?"}
CALL = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "cold"}
ASSISTANT = {"role": "assistant", "content": "Cold."}
SCRIPT = [{"call": {"name": "a"}}, {"call": {"name": "b"}}, {"message": "end"}]


def kind_of(answer):
    item = answer.json()["output"][-1]
    return item.get("name") or item["content"][0]["text"]


async def ask(client, items, **more):
    return await client.post("/v1/responses", json={"input": items, **more})


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param("just a text", "a", id="text-input"),
        pytest.param([USER], "a", id="first-call"),
        pytest.param([USER, CALL, RESULT], "b", id="second-call"),
        pytest.param([USER, {"type": "reasoning"}, ASSISTANT, CALL, CALL, RESULT, RESULT], "b", id="parallel-calls"),
        pytest.param([USER, CALL, RESULT, CALL, RESULT], "end", id="third-call"),
        pytest.param([USER, CALL, RESULT, ASSISTANT, USER], "a", id="counts-from-the-last-user-message"),
    ],
)
async def test_script_entry_is_the_number_of_model_calls_in_the_input(client_for, items, expected):
    async with client_for() as client:
        assert kind_of(await ask(client, items, script=SCRIPT)) == expected


async def test_script_in_metadata_is_played_and_a_replay_gets_the_same_answer(client_for):
    async with client_for() as client:
        for _ in range(2):
            answer = await ask(client, [USER, CALL, RESULT], metadata={"script": json.dumps(SCRIPT)})
            assert kind_of(answer) == "b"


async def test_script_that_has_ended_gives_way_to_the_rules(client_for):
    async with client_for(rules=[{"when": "any", "answer": {"message": "rule"}}]) as client:
        assert kind_of(await ask(client, [USER], script=[])) == "rule"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param("text", "must be a list", id="no-list"),
        pytest.param([{"mesage": "x"}], "entry 0: mesage", id="typo"),
        pytest.param([{}], "empty answer", id="empty"),
        pytest.param([{"call": {"name": "a"}, "calls": [{"name": "b"}]}], "either 'call' or 'calls'", id="both"),
        pytest.param([{"message": "a", "refusal": "b"}], "either 'message' or 'refusal'", id="both-texts"),
        pytest.param([{"output": [], "refusal": "b"}], "stands alone", id="output-and-more"),
        pytest.param(
            [{"message": "a", "status": "failed", "incomplete": "content_filter"}], "'status'", id="two-endings"
        ),
        pytest.param([{"message": "a", "error": {}}], "status: failed", id="error-of-a-good-answer"),
    ],
)
async def test_script_that_is_wrong_is_refused_with_the_reason(client_for, script, reason):
    async with client_for() as client:
        answer = await ask(client, [USER], script=script)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"last_user_matches": "Oslo"}, True),
        ({"last_user_matches": "Rome"}, False),
        ({"has_tool_result": True}, False),
        ({"has_tool_result": False}, True),
        ({"tools_include": "get_weather"}, True),
        ({"tools_include": "book_room"}, False),
        ({"step": 0}, True),
        ({"step": 1}, False),
        ({"step": 0, "tools_include": "book_room"}, False),
        ("any", True),
    ],
    ids=str,
)
async def test_rule_is_played_when_its_whole_condition_holds(client_for, when, fits):
    async with client_for(rules=[{"when": when, "answer": {"message": "rule"}}]) as client:
        assert kind_of(await ask(client, [USER], tools=[WEATHER])) == ("rule" if fits else "Done.")


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"system_matches": "pirate"}, True),
        ({"system_matches": "terse"}, True),
        ({"system_matches": "Oslo"}, False),
        ({"tool_result_matches": "cold"}, True),
        ({"tool_result_matches": "warm"}, False),
        ({"conversation_matches": "(?s)terse.*pirate.*Oslo.*warm.*cold"}, True),
        ({"conversation_matches": "Rome"}, False),
        ({"conversation_matches": "Oslo", "system_matches": "Rome"}, False),
        ({"model": "student"}, True),
        ({"model": "teacher"}, False),
    ],
    ids=str,
)
async def test_one_script_plays_several_policies_by_what_the_conversation_says(client_for, when, fits):
    system = {"role": "system", "content": "You are a pirate."}
    items = [system, USER, CALL, {**RESULT, "output": "warm"}, CALL, RESULT]
    async with client_for(rules=[{"when": when, "answer": {"message": "rule"}}]) as client:
        answer = await ask(client, items, instructions="Be terse.", model="student")
    assert kind_of(answer) == ("rule" if fits else "Done.")


async def test_groups_of_all_regexes_fill_the_answer_without_the_end_of_the_sentence(client_for):
    when = {"last_user_matches": "in (?P<city>[^?]+)", "system_matches": "(?P<who>pir.*)"}
    rule = {"when": when, "answer": {"refusal": "$who: $city?"}}
    async with client_for(rules=[rule]) as client:
        items = [{"role": "developer", "content": "You are a pirate!"}, {"role": "user", "content": "Fog in Tokyo. "}]
        assert (await ask(client, items)).json()["output"][0]["content"][0]["refusal"] == "pirate: Tokyo?"
        items[1]["content"] = "Fog in ..."
        assert (await ask(client, items)).json()["output"][0]["content"][0]["refusal"] == "pirate: ...?"


async def test_template_is_filled_inside_arguments_without_breaking_their_json(client_for):
    rule = {
        "when": {"last_user_matches": "in (?P<city>.+)"},
        "answer": {"message": "I ask for ${city}.", "call": {"name": "w", "arguments": {"at": ["$city", "$other"]}}},
    }
    async with client_for(rules=[rule]) as client:
        output = (await ask(client, 'in "Oslo"')).json()["output"]
    assert output[0]["content"][0]["text"] == 'I ask for "Oslo".'
    assert json.loads(output[1]["arguments"]) == {"at": ['"Oslo"', "$other"]}


async def test_arguments_given_as_text_are_played_as_they_are(client_for):
    async with client_for(default_answer={"call": {"name": "w", "arguments": '{"city": '}}) as client:
        assert (await ask(client, "x")).json()["output"][0]["arguments"] == '{"city": '


async def test_chat_counts_its_own_calls_and_reads_nested_tools(client_for):
    rules = [
        {"when": {"step": 1, "has_tool_result": True}, "answer": {"message": "second"}},
        {"when": {"tools_include": "w", "last_user_matches": "(?P<x>b.*)"}, "answer": {"call": {"name": "$x"}}},
    ]
    user = {"role": "user", "content": [{"type": "text", "text": "bake"}]}
    assistant = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}, {"id": "2"}]}
    results = [{"role": "tool", "tool_call_id": n, "content": "ok"} for n in "12"]
    body = {"tools": [{"type": "function", "function": {"name": "w"}}]}
    async with client_for(rules=rules) as client:
        first = await client.post("/v1/chat/completions", json={**body, "messages": [user]})
        second = await client.post("/v1/chat/completions", json={**body, "messages": [user, assistant, *results]})
    assert first.json()["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "bake", "arguments": "{}"}
    assert second.json()["choices"][0]["message"]["content"] == "second"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        pytest.param({"rules": [{"wen": "any", "answer": {"message": ""}}]}, "rules.0.wen", id="rule"),
        pytest.param({"rules": [{"when": {"stepp": 1}, "answer": {"message": ""}}]}, "rules.0.when.stepp", id="when"),
        pytest.param({"rules": [{"when": {"last_user_matches": "("}, "answer": {"message": ""}}]}, "regular", id="re"),
        pytest.param({"faults": [{"kind": "silent", "size_bytes": 3}]}, "size_bytes", id="fault"),
        pytest.param({"faults": [{"kind": "html", "rate": 1.5}]}, "less than or equal to 1", id="rate"),
        pytest.param({"latency_s": [2, 1]}, "backwards", id="latency"),
    ],
)
def test_setting_that_is_wrong_is_named(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        ScriptedSettings.model_validate(settings)
