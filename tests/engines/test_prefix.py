"""Do the prompt ids of a call begin with all ids of the call before it? A trainer needs that.

Rendering the messages anew keeps them only if the template writes an answer as the model wrote it. Taking the
generated ids as they are, and appending what the template writes after an answer, keeps them always.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.engines.cases.requests import (
    CALL_TEXT,
    CHAT,
    DICTATED,
    LOOSE_TOOLS,
    MODEL,
    TOOLS,
    WEATHER,
    assistant_call,
    tool_result,
)
from tests.engines.engine import Engine

pytestmark = pytest.mark.engines

END = 2  # <|im_end|>
Message = dict[str, Any]


class Step(NamedTuple):
    """One model call: the ids of its prompt and of its answer, and the answer as a message."""

    prompt_ids: list[int]
    ids: list[int]
    message: Message

    @property
    def all_ids(self) -> list[int]:
        return self.prompt_ids + self.ids


@pytest.fixture
def client(engine_of: Callable[[str], Engine]) -> Iterator[httpx.Client]:
    with engine_of("vllm_open").client() as client:
        yield client


def _post(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    response = client.post(path, json={"model": MODEL, **body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _chat_step(client: httpx.Client, messages: list[Message], **more: Any) -> Step:
    body = {"messages": messages, "tools": TOOLS, "temperature": 0, "max_tokens": 60, "return_token_ids": True, **more}
    answer = _post(client, CHAT, **body)
    choice = answer["choices"][0]
    kept = {key: choice["message"].get(key) for key in ("role", "content", "tool_calls", "reasoning")}
    return Step(answer["prompt_token_ids"], choice["token_ids"], {key: kept[key] for key in kept if kept[key]})


def _ask(city: str) -> Message:
    return {"role": "user", "content": f"What is the weather in {city}? Call get_weather."}


def _after_answer(client: httpx.Client, messages: list[Message], results: list[Message]) -> list[int]:
    """Return the ids that the template writes between an answer's end id and the next answer.

    The answer itself doesn't matter, so any text stands in for it: what the template makes of it can't be wrong.
    """
    earlier = [*messages, {"role": "assistant", "content": "x"}]
    until = _post(client, "/tokenize", messages=earlier, tools=TOOLS, add_generation_prompt=False)["tokens"]
    beyond = _post(client, "/tokenize", messages=[*earlier, *results], tools=TOOLS)["tokens"]
    assert beyond[: len(until)] == until
    last_end = len(until) - 1 - until[::-1].index(END)
    after: list[int] = beyond[last_end + 1 :]
    return after


def test_prompts_of_three_steps_extend_each_other_when_calls_are_written_as_the_template_does(
    client: httpx.Client,
) -> None:
    shown = [_ask("Rome"), assistant_call(arguments='{"city": "Rome"}')]
    messages: list[Message] = [*shown, *shown, _ask("Paris")]
    before: list[int] = []
    for _ in range(3):
        step = _chat_step(client, messages)
        assert step.prompt_ids[: len(before)] == before
        assert step.message.keys() == {"role", "tool_calls"}
        before = step.all_ids
        messages += [step.message, tool_result("18 degrees, sunny"), _ask("Paris")]


@pytest.mark.parametrize(
    ("messages", "settings"),
    [
        pytest.param(WEATHER, {"tool_choice": "required"}, id="arguments-with-line-breaks"),
        pytest.param(DICTATED, {}, id="text-and-line-break-before-the-call"),
        pytest.param(
            WEATHER,
            {"tools": LOOSE_TOOLS, "structured_outputs": {"choice": [CALL_TEXT]}},
            id="same-text-from-other-tokens-under-a-constraint",
        ),
    ],
)
def test_prompt_rendered_anew_differs_from_what_was_generated(
    client: httpx.Client, messages: list[Message], settings: dict[str, Any]
) -> None:
    step = _chat_step(client, messages, **settings)
    assert step.message["tool_calls"]
    after = [*messages, step.message, tool_result("18 degrees, sunny")]
    again = _chat_step(client, after, tools=settings.get("tools", TOOLS))
    assert again.prompt_ids[: len(step.prompt_ids)] == step.prompt_ids
    assert again.prompt_ids[: len(step.all_ids)] != step.all_ids


def test_continuation_by_ids_keeps_every_earlier_id_and_gives_a_message(client: httpx.Client) -> None:
    step = _chat_step(client, WEATHER, tool_choice="required")
    prompt_ids = step.all_ids + _after_answer(client, WEATHER, [tool_result("18 degrees, sunny")])
    sampling = {"temperature": 0, "max_tokens": 40, "logprobs": 0}
    generated = _post(client, "/inference/v1/generate", token_ids=prompt_ids, sampling_params=sampling)
    choice = generated["choices"][0]
    assert [entry["token_id"] for entry in choice["logprobs"]["content"]] == choice["token_ids"]
    parsed = _post(
        client,
        f"{CHAT}/derender",
        generate_response=generated,
        prompt_token_ids=prompt_ids,
        chat_request={"model": MODEL, "messages": WEATHER, "tools": TOOLS},
    )
    text = _post(client, "/detokenize", tokens=[token for token in choice["token_ids"] if token != END])["prompt"]
    assert parsed["choices"][0]["message"]["content"] == text


def test_completion_by_ids_samples_as_generate_does(client: httpx.Client) -> None:
    ids = _post(client, "/tokenize", messages=WEATHER, tools=TOOLS)["tokens"]
    generated = _post(client, "/inference/v1/generate", token_ids=ids, sampling_params={"temperature": 0})
    completed = _post(client, "/v1/completions", prompt=ids, temperature=0, max_tokens=16, return_token_ids=True)
    chatted = _chat_step(client, WEATHER, max_tokens=16)
    assert completed["choices"][0]["prompt_token_ids"] == ids == chatted.prompt_ids
    assert generated["choices"][0]["token_ids"] == completed["choices"][0]["token_ids"] == chatted.ids


def test_prompt_with_a_call_whose_arguments_are_no_json_loses_them(client: httpx.Client) -> None:
    messages = [*WEATHER, assistant_call(arguments='{"city": ')]
    ids = _post(client, "/tokenize", messages=messages, tools=TOOLS)["tokens"]
    assert '"arguments": {}}' in _post(client, "/detokenize", tokens=ids)["prompt"]
