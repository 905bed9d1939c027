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
from nemo_gym.models.chat.token_data import CALL_FIELDS, CallTokenData, token_data_of
from nemo_gym.models.endpoints.conversation_key import AskedConversations, answer_key, request_key
from nemo_gym.models.endpoints.token_source import Earlier, TokenSource
from nemo_gym.servers.http.model_endpoints.client import NeMoGymAsyncOpenAI
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
        completion, data = await self._ask(request.body, _earlier(request.token_data, params.json_apart.arrays))
        response = to_response(completion, asked, self._options)
        if data is not None:
            attach_token_data(response["output"], data)
        return RawResponse(encode(response))

    async def complete(self, body: Body) -> Body:
        """Return the completion; with a token source, its tokens are on the message. Raises as `respond` does."""
        told = [(index, token_data_of(message)) for index, message in enumerate(body["messages"])]
        earlier = _earlier(tuple(MessageTokenData(index, data) for index, data in told if data is not None), {})
        body = {**body, "messages": [_without_call_fields(message) for message in body["messages"]]}
        completion, data = await self._ask(body, earlier)
        if data is not None:
            fields = data.fields().items()
            parsed = {key: msgspec.json.decode(value) if isinstance(value, Raw) else value for key, value in fields}
            completion["choices"][0]["message"].update(parsed)
        return completion

    async def _ask(self, body: Body, earlier: Earlier | None) -> tuple[Body, CallTokenData | None]:
        messages = body["messages"]
        rollout = request_key(messages)
        if earlier is not None and not self._asked.may_continue(earlier.ids, messages[: earlier.message_index]):
            earlier = None
        body = {**self._extra_body, **body, "model": self._model}
        counter = RetryCounter()
        while True:
            completion, data = await self._ask_once(body, earlier, rollout)
            if not _is_given_up(completion):
                break
            await self._wait(counter)
        if isinstance(message := _first(completion).get("message"), dict):
            self._client.endpoints.rename(rollout, answer_key(message))
        if data is not None:
            self._asked.remember(_all_ids(data, {}), messages)
        return completion, data

    async def _ask_once(self, body: Body, earlier: Earlier | None, rollout: str) -> tuple[Body, CallTokenData | None]:
        if self._tokens is not None:
            return await self._tokens.complete(body, earlier, rollout)
        return self._client.decoded(await self._client.send(_PATH, body, rollout=rollout)), None

    async def _wait(self, counter: RetryCounter) -> None:
        delay = counter.delay_before_next(self._limit)
        if delay is None:
            reason = (
                f"{self._name}: the engine gave up {counter.attempts(self._limit)} answers, as while weights change"
            )
            raise rollout_error("model_unavailable", reason, server=self._name, status=200)
        await asyncio.sleep(delay)


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
    ids = _all_ids(found[-1].data, arrays)
    return Earlier(found[-1].message_index, ids, ids.count(b",") + 1 if ids else 0)


def _all_ids(data: CallTokenData, arrays: Arrays) -> bytes:
    texts = [array_text(ids, arrays)[1:-1].strip() for ids in (data.prompt_token_ids, data.generation_token_ids)]
    return b",".join(text for text in texts if text)


def _without_call_fields(message: Any) -> Any:
    if not isinstance(message, dict) or not CALL_FIELDS.intersection(message):
        return message
    return {key: value for key, value in message.items() if key not in CALL_FIELDS}
