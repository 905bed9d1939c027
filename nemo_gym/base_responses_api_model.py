"""Model servers: inference behind the Responses and the Chat Completions API."""

from abc import abstractmethod

from fastapi import Body, FastAPI

from nemo_gym.config.schema import BaseRunServerInstanceConfig
from nemo_gym.openai_utils import (
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.servers.endpoint_policy import EndpointPolicy
from nemo_gym.servers.server import SimpleServer

__all__ = ["BaseResponsesAPIModel", "BaseResponsesAPIModelConfig", "Body", "SimpleResponsesAPIModel"]


class BaseResponsesAPIModelConfig(BaseRunServerInstanceConfig):
    """Settings every model server has."""


class BaseResponsesAPIModel(SimpleServer):
    """A model server whose routes are all its own."""

    config: BaseResponsesAPIModelConfig


class SimpleResponsesAPIModel(BaseResponsesAPIModel):
    """A model server: one method for each of the two APIs."""

    def setup_webserver(self) -> FastAPI:
        """Return the app with `/v1/responses` and `/v1/chat/completions`."""
        app = super().setup_webserver()
        app.post("/v1/responses")(self.responses)
        app.post("/v1/chat/completions")(self.chat_completions)
        return app

    def endpoint_policy(self, path: str) -> EndpointPolicy:
        """Return what holds for the model's endpoints; the stage is the caller's: a policy or a judge was asked."""
        return EndpointPolicy(self.config.name, "model_unavailable")

    @abstractmethod
    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        """Answer a Responses API request."""
        raise NotImplementedError

    @abstractmethod
    async def chat_completions(
        self, body: NeMoGymChatCompletionCreateParamsNonStreaming = Body()
    ) -> NeMoGymChatCompletion:
        """Answer a Chat Completions request."""
        raise NotImplementedError
