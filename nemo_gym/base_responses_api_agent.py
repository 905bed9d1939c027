"""Agent servers: drive a rollout. They ask the model, run tools, and ask for the verdict."""

from abc import abstractmethod
from typing import Any

from fastapi import Body, FastAPI
from pydantic import Field

from nemo_gym.config.schema import BaseRunServerInstanceConfig
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.server import SimpleServer
from nemo_gym.wire.environment import RawRunRequest

__all__ = [
    "BaseResponsesAPIAgent",
    "BaseResponsesAPIAgentConfig",
    "Body",
    "RawRunRequest",
    "SimpleResponsesAPIAgent",
]


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
        """Return the policy of the agent's endpoints: `agent_error`, and the time limit of `/run`."""
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

    # Both are overridden with `body`, with `request: Request` and `response: Response` beside it, as they need them.

    @abstractmethod
    async def responses(self, *args: Any, **kwargs: Any) -> Any:
        """Answer `body: NeMoGymResponseCreateParamsNonStreaming` with a NeMoGymResponse.

        Its `output` holds every new item, tool results included, in order.
        """
        raise NotImplementedError

    @abstractmethod
    async def run(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a task row, `body: BaseRunRequest`, with the verify answer (or a Response that holds it)."""
        raise NotImplementedError
