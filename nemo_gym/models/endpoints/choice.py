"""Which API an endpoint is asked in."""

from typing import Literal, Protocol

from nemo_gym.models.endpoints.chat import ChatEndpoint
from nemo_gym.models.endpoints.responses import ResponsesEndpoint
from nemo_gym.servers.http.model_endpoints.client import NoSuchRouteError
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.raw_responses import RawParams, RawResponse

ApiChoice = Literal["responses", "chat", "auto"]


class ModelEndpoint(Protocol):
    """A model, asked in either API."""

    async def respond(self, params: RawParams) -> RawResponse:
        """Answer a Responses request."""
        ...

    async def complete(self, body: JsonObject) -> JsonObject:
        """Answer a chat request."""
        ...


class AutoEndpoint:
    """Asks each API where the endpoint has it, and converts where it lacks one: found out by the first request."""

    def __init__(self, responses: ResponsesEndpoint, chat: ChatEndpoint) -> None:
        self._responses = responses
        self._chat = chat
        self._lacks_responses = False
        self._lacks_chat = False

    async def respond(self, params: RawParams) -> RawResponse:
        """Answer a Responses request; raises as the endpoints do."""
        if not self._lacks_responses:
            try:
                return await self._responses.respond(params)
            except NoSuchRouteError:
                answer = await self._chat.respond(params)
                self._lacks_responses = True
                return answer
        return await self._chat.respond(params)

    async def complete(self, body: JsonObject) -> JsonObject:
        """Answer a chat request; raises as the endpoints do."""
        if not self._lacks_chat:
            try:
                return await self._chat.complete(body)
            except NoSuchRouteError:
                answer = await self._responses.complete(body)
                self._lacks_chat = True
                return answer
        return await self._responses.complete(body)


def endpoint_for(api: ApiChoice, responses: ResponsesEndpoint, chat: ChatEndpoint) -> ModelEndpoint:
    """Return the endpoint that a setting `api` chooses."""
    endpoints: dict[ApiChoice, ModelEndpoint] = {"responses": responses, "chat": chat}
    return endpoints.get(api) or AutoEndpoint(responses, chat)
