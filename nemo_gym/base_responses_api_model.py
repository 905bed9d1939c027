"""Model servers: inference behind the Responses and the Chat Completions API."""

from abc import abstractmethod
from typing import Any

from fastapi import Body, FastAPI

from nemo_gym.config.schema import BaseRunServerInstanceConfig
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.server import SimpleServer

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
        """Return the policy of the model's endpoints; the caller sets the stage, since it asked a policy or a judge."""
        return EndpointPolicy(self.config.name, "model_unavailable")

    # Both are overridden with `body`, with `request: Request` beside it, as they need it.

    @abstractmethod
    async def responses(self, *args: Any, **kwargs: Any) -> Any:
        """Answer `body: NeMoGymResponseCreateParamsNonStreaming` with a NeMoGymResponse."""
        raise NotImplementedError

    @abstractmethod
    async def chat_completions(self, *args: Any, **kwargs: Any) -> Any:
        """Answer `body: NeMoGymChatCompletionCreateParamsNonStreaming` with a NeMoGymChatCompletion."""
        raise NotImplementedError
