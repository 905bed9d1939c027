"""Agent servers: drive a rollout. They ask the model, run tools, and ask for the verdict."""

from abc import abstractmethod

from fastapi import Body, FastAPI
from pydantic import Field

from nemo_gym.base_resources_server import BaseRunRequest, BaseVerifyResponse
from nemo_gym.config.schema import BaseRunServerInstanceConfig
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.servers.endpoint_policy import EndpointPolicy
from nemo_gym.servers.server import SimpleServer

__all__ = ["BaseResponsesAPIAgent", "BaseResponsesAPIAgentConfig", "Body", "SimpleResponsesAPIAgent"]


class BaseResponsesAPIAgentConfig(BaseRunServerInstanceConfig):
    """Settings every agent has."""

    run_timeout_s: float | None = Field(
        default=None, gt=0, description="Longest one rollout may take, in seconds; None: the collector's bound alone."
    )


class BaseResponsesAPIAgent(SimpleServer):
    """An agent whose routes are all its own."""

    config: BaseResponsesAPIAgentConfig


class SimpleResponsesAPIAgent(BaseResponsesAPIAgent):
    """An agent: `responses` is the loop over model and tools, `run` a whole rollout of one task."""

    def setup_webserver(self) -> FastAPI:
        """Return the app with `/v1/responses` and `/run`."""
        app = super().setup_webserver()
        app.post("/v1/responses")(self.responses)
        app.post("/run")(self.run)
        return app

    def endpoint_policy(self, path: str) -> EndpointPolicy:
        """Return what holds for the agent's endpoints: `agent_error`, and the bound of `/run`."""
        name = self.config.name
        if path != "/run":
            return EndpointPolicy(name, "agent_error", "agent")
        return EndpointPolicy(
            name,
            "agent_error",
            "agent",
            timeout_s=self.config.run_timeout_s,
            timeout_setting=f"{name}.run_timeout_s",
        )

    @abstractmethod
    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        """Return a Response whose `output` holds every new item, tool results included, in order."""
        raise NotImplementedError

    @abstractmethod
    async def run(self, body: BaseRunRequest = Body()) -> BaseVerifyResponse:
        """Return the verify answer for one task row."""
        raise NotImplementedError
