"""An endpoint that speaks Chat Completions."""

import asyncio
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from nemo_gym.models.chat import (
    ChatOptions,
    MessageTokenData,
    attach_token_data,
    to_chat_request,
    to_response,
)
from nemo_gym.models.chat.token_data import CALL_FIELDS, token_data_of
from nemo_gym.models.endpoints.conversation_key import AskedConversations, answer_key, request_key
from nemo_gym.models.endpoints.token_source import Earlier, TokenSource
from nemo_gym.servers.http.model_endpoint import NeMoGymAsyncOpenAI
from nemo_gym.servers.http.retry import MODEL_ENDPOINT, RetryCounter, RetryLimit
from nemo_gym.wire.failure import rollout_error
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.raw_json import encode
from nemo_gym.wire.raw_responses import RawParams, RawResponse
from nemo_gym.wire.token_arrays import Arrays, array_text

Body = JsonObject
_PATH = "/chat/completions"


class ChatEndpoint:
    """Asks in Chat Completions; a Responses request is converted. Calls of one conversation stay at one endpoint.

    Args:
        client: Client of the endpoint.
        name: The server that asks, for errors.
        model: Replaces what a request names.
        options: How the endpoint wants its requests.
        extra_body: Fields added to each request that it doesn't have itself.
        tokens: Where token data comes from; None: none is recorded.
        limit: How often and how long an answer that the engine gave up is asked for again.
    """

    def __init__(
        self,
        client: NeMoGymAsyncOpenAI,
        *,
        name: str,
        model: str,
        options: ChatOptions,
        extra_body: Body | None = None,
        tokens: TokenSource | None = None,
        limit: RetryLimit = MODEL_ENDPOINT,
    ) -> None:
        self._client = client
        self._name = name
        self._model = model
        self._options = options
        self._extra_body = extra_body or {}
        self._tokens = tokens
        self._limit = limit
        self._asked = AskedConversations()

    async def respond(self, params: RawParams) -> RawResponse:
        """Return the endpoint's answer as a Response; with a token source, its tokens are on the last item.

        Raises:
            RolloutError: Of a `model_*`, transport or token-data kind; `model_bad_request` also for what Chat has no
                words for.
        """
        asked = orjson.loads(params.json_apart.text)
        request = to_chat_request(asked, self._options)
        if self._tokens is None:
            completion = await self._ask(request.body)
            return RawResponse(encode(to_response(completion, asked, self._options)))
        earlier = _earlier(request.token_data, params.json_apart.arrays)
        completion, data = await self._ask_for_tokens(request.body, earlier)
        response = to_response(completion, asked, self._options)
        attach_token_data(response["output"], data)
        return RawResponse(encode(response))

    async def complete(self, body: Body) -> Body:
        """Return the completion; with a token source, its tokens are on the message. Raises as `respond` does."""
        data_by_index = [(i, token_data_of(m)) for i, m in enumerate(body["messages"])]
        body = {**body, "messages": [_without_call_fields(message) for message in body["messages"]]}
        if self._tokens is None:
            return await self._ask(body)
        found = tuple(MessageTokenData(index, data) for index, data in data_by_index if data is not None)
        completion, data = await self._ask_for_tokens(body, _earlier(found, {}))
        fields = {
            key: msgspec.json.decode(value) if isinstance(value, Raw) else value for key, value in data.fields().items()
        }
        completion["choices"][0]["message"].update(fields)
        return completion

    async def _ask(self, body: Body) -> Body:
        rollout = request_key(body["messages"])
        body = self._completed(body)
        counter = RetryCounter()
        while True:
            completion = self._client.decoded(await self._client.send(_PATH, body, rollout=rollout))
            if not _is_given_up(completion):
                break
            await self._wait(counter)
        self._stay(rollout, completion)
        return completion

    async def _ask_for_tokens(self, body: Body, earlier: Earlier | None) -> tuple[Body, Any]:
        assert self._tokens is not None
        rollout = request_key(body["messages"])
        body = self._completed(body)
        if earlier is not None and not self._asked.may_continue(body["messages"], earlier.message_index):
            earlier = None
        counter = RetryCounter()
        while True:
            completion, data = await self._tokens.complete(body, earlier, rollout)
            if not _is_given_up(completion):
                break
            await self._wait(counter)
        self._stay(rollout, completion)
        if message := _first(completion).get("message"):
            self._asked.remember(message, body["messages"])
        return completion, data

    def _completed(self, body: Body) -> Body:
        return {**self._extra_body, **body, "model": self._model}

    async def _wait(self, counter: RetryCounter) -> None:
        delay = counter.delay_before_next(self._limit)
        if delay is None:
            reason = (
                f"{self._name}: the engine gave up {counter.attempts(self._limit)} answers, as while weights change"
            )
            raise rollout_error("model_unavailable", reason, server=self._name, status=200)
        await asyncio.sleep(delay)

    def _stay(self, rollout: str, completion: Body) -> None:
        message = _first(completion).get("message")
        if isinstance(message, dict):
            self._client.endpoints.rename(rollout, answer_key(message))


def _first(completion: Body) -> Body:
    choices = completion.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _is_given_up(completion: Body) -> bool:
    """Whether the engine ended the answer itself: vLLM's `/pause?mode=abort` does before weights are swapped."""
    return _first(completion).get("finish_reason") == "abort"


def _earlier(found: tuple[MessageTokenData, ...], arrays: Arrays) -> Earlier | None:
    """Return the tokens up to the end of the last answer that came with its own; nobody parses them."""
    if not found or found[-1].message_index is None:
        return None
    data = found[-1].data
    texts = [array_text(ids, arrays)[1:-1].strip() for ids in (data.prompt_token_ids, data.generation_token_ids)]
    ids = b",".join(text for text in texts if text)
    return Earlier(found[-1].message_index, ids, ids.count(b",") + 1 if ids else 0)


def _without_call_fields(message: Any) -> Any:
    if not isinstance(message, dict) or not CALL_FIELDS.intersection(message):
        return message
    return {key: value for key, value in message.items() if key not in CALL_FIELDS}
