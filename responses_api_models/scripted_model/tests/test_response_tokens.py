"""Token data on Responses: the same ids as on chat completions, and the same things wrong with them on demand."""

import itertools
import json
import math

import pytest

from responses_api_models.scripted_model.tokens import SPECIAL_IDS

USER = {"role": "user", "content": "Weather in Köln?"}
TOOLS = [{"type": "function", "name": "w", "parameters": {"type": "object"}}]
SCRIPT = [
    {"reasoning": "hm", "message": "I look.", "call": {"name": "w", "arguments": {"c": "Köln"}}},
    {"call": {"name": "w"}},
    {"message": "It is cut", "incomplete": "max_output_tokens"},
]
NAMES = ["prompt_token_ids", "generation_token_ids", "generation_log_probs"]


async def respond(client, items, **more):
    answer = await client.post("/v1/responses", json={"input": items, "tools": TOOLS, **more})
    assert answer.status_code == 200, answer.text
    return answer


async def roll_out(client):
    """Play the script to its end; return the Responses."""
    items, responses = [USER], []
    for _ in SCRIPT:
        responses.append((await respond(client, items, script=SCRIPT, instructions="Be brief.")).json())
        output = responses[-1]["output"]
        calls = [item["call_id"] for item in output if item["type"] == "function_call"]
        items += [*output, *({"type": "function_call_output", "call_id": call, "output": "cold"} for call in calls)]
    return responses


async def test_the_last_item_of_each_response_continues_all_ids_before_it(client_for):
    async with client_for(return_token_id_information=True) as client:
        responses = await roll_out(client)
    for response in responses:
        assert [name in item for item in response["output"] for name in NAMES][:-3] == [False] * 3 * (
            len(response["output"]) - 1
        )
    carriers = [response["output"][-1] for response in responses]
    for before, after in itertools.pairwise(carriers):
        known = before["prompt_token_ids"] + before["generation_token_ids"]
        assert after["prompt_token_ids"][: len(known)] == known
    assert [len(item["generation_log_probs"]) for item in carriers] == [
        response["usage"]["output_tokens"] for response in responses
    ]
    assert responses[0]["usage"]["input_tokens"] == len(carriers[0]["prompt_token_ids"])
    assert carriers[-1]["generation_token_ids"] == list(b"It is cut")


async def test_ids_are_those_of_the_same_chat_completion(client_for):
    chat = {"messages": [USER], "return_token_ids": True}
    async with client_for(return_token_id_information=True) as client:
        (item,) = (await respond(client, [USER], tools=[])).json()["output"]
        completion = (await client.post("/v1/chat/completions", json=chat)).json()
    assert item["prompt_token_ids"] == completion["prompt_token_ids"]
    assert item["generation_token_ids"] == [*b"Done.", SPECIAL_IDS["end"]]


async def test_there_is_none_without_the_setting_and_raw_items_stay_as_they_are(client_for):
    raw = [{"type": "message", "role": "assistant", "content": [], "prompt_token_ids": [1]}]
    async with client_for() as client:
        assert not (await respond(client, [USER])).json()["output"][0].keys() & set(NAMES)
    async with client_for(return_token_id_information=True, default_answer={"output": raw}) as client:
        assert (await respond(client, [USER])).json()["output"] == raw


async def test_a_conversation_without_a_chat_form_is_refused(client_for):
    async with client_for(return_token_id_information=True) as client:
        answer = await client.post("/v1/responses", json={"input": [{"type": "computer_call"}]})
    assert (answer.status_code, "No token data" in answer.text) == (400, True)


async def spoilt(client_for, problem):
    """Return the last item of the script's second Response, and the same without the fault."""
    items = []
    for faults in ([{"kind": "token_data", "problem": problem}], []):
        async with client_for(return_token_id_information=True, faults=faults) as client:
            script = [{"call": {"name": "w"}}, {"message": "Cold."}]
            call = {"type": "function_call", "call_id": "c", "name": "w", "arguments": "{}"}
            given = [USER, call, {"type": "function_call_output", "call_id": "c", "output": "cold"}]
            items.append(json.loads((await respond(client, given, script=script)).text)["output"][-1])
    return items


@pytest.mark.parametrize(
    ("problem", "missing"), [*zip(("no_prompt_token_ids", "no_token_ids", "no_logprobs"), NAMES, strict=True)]
)
async def test_token_data_fault_leaves_a_part_out(client_for, problem, missing):
    bad, good = await spoilt(client_for, problem)
    assert good.keys() - bad.keys() == {missing}


async def test_token_data_faults_spoil_log_probs(client_for):
    for problem in ("misaligned", "nan", "null"):
        bad, good = await spoilt(client_for, problem)
        probs, right = bad["generation_log_probs"], good["generation_log_probs"]
        if problem == "misaligned":
            assert probs == right[:-1]
        else:
            assert probs[0] is None if problem == "null" else math.isnan(probs[0])
            assert probs[1:] == right[1:]


async def test_retokenized_history_has_other_ids_in_the_prompt(client_for):
    bad, good = await spoilt(client_for, "retokenized")
    assert bad["prompt_token_ids"] != good["prompt_token_ids"]
    assert bad["generation_token_ids"] == good["generation_token_ids"]
