"""What a chat endpoint asks of a token source, and what it does with answers that an engine gave up."""

import json
from typing import Any

import pytest

from nemo_gym.models.chat import CallTokenData, ChatOptions
from nemo_gym.models.endpoints import ChatEndpoint, Earlier
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI, RawParams
from nemo_gym.servers.http.retry import RetryLimit
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.raw_json import encode

USER = {"role": "user", "content": "Who wrote it?"}


class Source:
    """A token source that answers what it is given, and remembers what it was asked to continue from."""

    def __init__(self, *finish_reasons: str) -> None:
        self.earlier: list[Earlier | None] = []
        self._finish_reasons = list(finish_reasons)

    async def complete(
        self, body: dict[str, Any], earlier: Earlier | None, rollout: str
    ) -> tuple[dict[str, Any], CallTokenData]:
        self.earlier.append(earlier)
        reason = self._finish_reasons.pop(0) if self._finish_reasons else "stop"
        message = {"role": "assistant", "content": f"answer {len(self.earlier)}"}
        choice = {"index": 0, "finish_reason": reason, "message": message}
        completion = {"id": f"chatcmpl-{len(self.earlier)}", "model": "m", "created": 1, "choices": [choice]}
        return completion, CallTokenData(list(range(200)), [7, 8], [-0.5, -0.1])


def endpoint(source: Source) -> ChatEndpoint:
    client = NeMoGymAsyncOpenAI("http://127.0.0.1:1/v1")
    limit = RetryLimit("engine", 3, 60.0)
    return ChatEndpoint(client, name="policy", model="m", options=ChatOptions(), tokens=source, limit=limit)


async def ask(chat: ChatEndpoint, items: list[Any]) -> list[dict[str, Any]]:
    response = await chat.respond(RawParams.json_unchecked(encode({"input": items}).text))
    output: list[dict[str, Any]] = json.loads(response.json_text)["output"]
    return output


async def test_a_call_continues_from_all_tokens_of_the_last_answer() -> None:
    source = Source()
    chat = endpoint(source)
    answer = await ask(chat, [USER])
    await ask(chat, [USER, *answer, {"role": "user", "content": "When?"}])
    first, second = source.earlier
    assert first is None
    assert second is not None
    assert second.ids == ",".join(map(str, [*range(200), 7, 8])).encode()
    assert (second.count, second.message_index) == (202, 1)


async def test_a_history_that_was_rewritten_is_not_continued() -> None:
    source = Source()
    chat = endpoint(source)
    answer = await ask(chat, [USER])
    await ask(chat, [{"role": "user", "content": "Shortened."}, *answer, {"role": "user", "content": "When?"}])
    assert source.earlier == [None, None]


class SaysYes(Source):
    """Gives the same text in every conversation, and each its own tokens."""

    async def complete(
        self, body: dict[str, Any], earlier: Earlier | None, rollout: str
    ) -> tuple[dict[str, Any], CallTokenData]:
        completion, data = await super().complete(body, earlier, rollout)
        completion["choices"][0]["message"]["content"] = "Yes."
        prompt = [*range(200), *map(ord, body["messages"][0]["content"])]
        return completion, CallTokenData(prompt, [7, 8], data.generation_log_probs)


async def test_conversations_whose_answers_have_the_same_text_are_each_continued() -> None:
    source = SaysYes()
    chat = endpoint(source)
    conversations = [[{"role": "user", "content": question}] for question in ("Is it?", "Was it?")]
    answers = [await ask(chat, items) for items in conversations]
    for items, answer in zip(conversations, answers, strict=True):
        await ask(chat, [*items, *answer, {"role": "user", "content": "Sure?"}])
    assert [earlier is not None for earlier in source.earlier] == [False, False, True, True]


async def test_an_answer_that_the_engine_gave_up_is_asked_for_again() -> None:
    source = Source("abort", "abort")
    (message,) = await ask(endpoint(source), [USER])
    assert message["content"][0]["text"] == "answer 3"


async def test_an_engine_that_gives_up_every_answer_is_a_failure() -> None:
    with pytest.raises(RolloutError, match="gave up 3 answers") as caught:
        await ask(endpoint(Source(*["abort"] * 5)), [USER])
    assert caught.value.failure.kind == "model_unavailable"
