"""Token data on chat completions: ids that extend from call to call, and what goes wrong with them on demand."""

import itertools
import json
import math

import pytest

from responses_api_models.scripted_model.tokens import SPECIAL_IDS

CHAT = "/v1/chat/completions"
WANTED = {"return_token_ids": True, "logprobs": True}
USER = {"role": "user", "content": "Weather in Köln?"}
TOOLS = [{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}]
SCRIPT = [
    {"reasoning": "hm", "message": "I look.", "calls": [{"name": "w", "arguments": {"c": "Köln"}}, {"name": "w"}]},
    {"message": "It is cut", "incomplete": "max_output_tokens"},
    {"refusal": "No more."},
]


async def complete(client, messages, **more):
    body = {"messages": messages, "tools": TOOLS, **WANTED, **more}
    answer = await client.post(CHAT, json=body)
    assert answer.status_code == 200
    return answer


async def roll_out(client):
    """Play the script to its end; return the completions."""
    messages, completions = [{"role": "system", "content": "Be brief."}, USER], []
    for _ in SCRIPT:
        completions.append((await complete(client, messages, script=SCRIPT)).json())
        message = completions[-1]["choices"][0]["message"]
        calls = message.get("tool_calls", [{"id": "c"}])
        messages += [message, *({"role": "tool", "tool_call_id": call["id"], "content": "cold"} for call in calls)]
    return completions


def ids_of(completion):
    return completion["prompt_token_ids"], completion["choices"][0]["token_ids"]


async def test_prompt_ids_of_each_call_begin_with_all_ids_of_the_call_before(client_for):
    async with client_for() as client:
        completions = await roll_out(client)
    for before, after in itertools.pairwise(completions):
        prompt, generated = ids_of(before)
        assert ids_of(after)[0][: len(prompt) + len(generated)] == prompt + generated


async def test_ids_are_bytes_between_the_special_ids_and_usage_counts_them(client_for):
    async with client_for(default_answer={"message": "é"}) as client:
        completion = (await complete(client, [USER], tools=[])).json()
    prompt, generated = ids_of(completion)
    user, end, assistant = (SPECIAL_IDS[name] for name in ("user", "end", "assistant"))
    assert prompt == [user, *"Weather in Köln?".encode(), end, assistant]
    assert generated == [0xC3, 0xA9, end]
    assert completion["usage"]["prompt_tokens"] == len(prompt)
    assert completion["usage"]["completion_tokens"] == 3


async def test_each_generated_id_has_a_log_prob_and_a_replay_has_the_same(client_for):
    async with client_for(default_answer={"message": "Cold."}) as client:
        first, again = [(await complete(client, [USER])).json()["choices"][0] for _ in range(2)]
    content = first["logprobs"]["content"]
    assert len(content) == len(first["token_ids"])
    assert all(-2 <= entry["logprob"] < 0 for entry in content)
    assert "".join(entry["token"] for entry in content) == "Cold.<|end|>"
    assert (again["logprobs"], again["token_ids"]) == (first["logprobs"], first["token_ids"])


async def test_tokens_are_named_by_their_ids_when_asked_for(client_for):
    async with client_for(default_answer={"message": "A"}) as client:
        choice = (await complete(client, [USER], return_tokens_as_token_ids=True, top_logprobs=1)).json()["choices"][0]
    entry = choice["logprobs"]["content"][0]
    assert (entry["token"], entry["top_logprobs"][0]["token"]) == ("token_id:65", "token_id:65")


async def test_completion_has_no_token_data_unless_asked(client_for):
    async with client_for() as client:
        completion = (await client.post(CHAT, json={"messages": [USER]})).json()
    assert "prompt_token_ids" not in completion
    assert "token_ids" not in completion["choices"][0]
    assert completion["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    "hostile", [{"tool_calls": ["x"]}, {"tool_calls": 3}, {"content": [1]}, {"role": [1]}], ids=str
)
async def test_messages_of_a_strange_shape_are_tokenised_too(client_for, hostile):
    async with client_for() as client:
        await complete(client, [{"role": "assistant", **hostile}], tools=[{"function": 1}])


@pytest.mark.parametrize("more", [{}, {"add_generation_prompt": False}], ids=["with-prompt", "without"])
async def test_tokenize_gives_the_ids_that_a_completion_is_given(client_for, more):
    async with client_for() as client:
        prompt, _ = ids_of((await complete(client, [USER])).json())
        answer = (await client.post("/tokenize", json={"messages": [USER], "tools": TOOLS, **more})).json()
    assert answer["tokens"] == (prompt[:-1] if more else prompt)
    assert answer["count"] == len(answer["tokens"])


async def test_tokenize_takes_a_text_and_names_its_tokens(client_for):
    async with client_for() as client:
        answer = (await client.post("/tokenize", json={"prompt": "hi", "return_token_strs": True})).json()
    assert (answer["tokens"], answer["token_strs"]) == ([104, 105], ["h", "i"])


async def test_detokenize_gives_back_a_text_and_names_special_ids(client_for):
    merged = 1_000 + 256 * ord("T") + ord("o")
    async with client_for() as client:
        tokens = (await client.post("/tokenize", json={"prompt": "Köln"})).json()["tokens"]
        answer = await client.post("/detokenize", json={"tokens": [*tokens, SPECIAL_IDS["end"], merged, 900]})
    assert answer.json() == {"prompt": "Köln<|end|>To<|900|>"}


@pytest.mark.parametrize("tokens", [None, "x", [1, -1], [1.5], [True]], ids=str)
async def test_detokenize_refuses_what_are_no_ids(client_for, tokens):
    async with client_for() as client:
        assert (await client.post("/detokenize", json={"tokens": tokens})).status_code == 400


@pytest.mark.parametrize(
    ("method", "body", "status"), [("POST", {}, 400), ("POST", {"prompt": [1]}, 400), ("GET", {}, 405)], ids=str
)
async def test_tokenize_refuses_what_it_cannot_read(client_for, method, body, status):
    async with client_for() as client:
        assert (await client.request(method, "/tokenize", json=body)).status_code == status


async def spoilt(client_for, problem):
    async with client_for(faults=[{"kind": "token_data", "problem": problem}]) as client:
        return await complete(client, [USER])


@pytest.mark.parametrize(
    ("problem", "present"),
    [
        ("no_prompt_token_ids", (False, True, True)),
        ("no_token_ids", (True, False, True)),
        ("no_logprobs", (True, True, False)),
    ],
)
async def test_token_data_fault_leaves_a_part_out(client_for, problem, present):
    completion = (await spoilt(client_for, problem)).json()
    choice = completion["choices"][0]
    assert ("prompt_token_ids" in completion, "token_ids" in choice, choice["logprobs"] is not None) == present


async def test_misaligned_token_data_lack_one_log_prob(client_for):
    choice = (await spoilt(client_for, "misaligned")).json()["choices"][0]
    assert len(choice["logprobs"]["content"]) == len(choice["token_ids"]) - 1


async def test_nan_is_written_as_python_writes_it(client_for):
    text = (await spoilt(client_for, "nan")).text
    assert math.isnan(json.loads(text)["choices"][0]["logprobs"]["content"][0]["logprob"])
    assert (await spoilt(client_for, "null")).json()["choices"][0]["logprobs"]["content"][0]["logprob"] is None


async def test_retokenized_history_breaks_the_prefix_from_the_second_call_on(client_for):
    async with client_for(faults=[{"kind": "token_data", "problem": "retokenized"}]) as client:
        bad = await roll_out(client)
    async with client_for() as client:
        good = await roll_out(client)
    assert ids_of(bad[0]) == ids_of(good[0])
    assert ids_of(bad[1])[1] == ids_of(good[1])[1]
    prompt, generated = ids_of(bad[0])
    assert ids_of(bad[1])[0][: len(prompt)] == prompt
    assert ids_of(bad[1])[0][: len(prompt) + len(generated)] != prompt + generated
    assert len(ids_of(bad[1])[0]) == len(ids_of(good[1])[0]) - 1
