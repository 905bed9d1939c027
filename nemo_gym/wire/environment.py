"""What travels between an agent and a resources server: a task row, the seed, the verify request and the verdict."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_serializer

from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.wire.raw_json import RawJson


def _as_sent(value: Any) -> Any:
    # A subclass may have typed the field as something else, e.g. as a plain dict.
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


class BaseRunRequest(BaseModel):
    """A task row: the prompt, and under other names what the verifier needs."""

    model_config = ConfigDict(extra="allow")

    responses_create_params: NeMoGymResponseCreateParamsNonStreaming

    @field_serializer("responses_create_params")
    def _params_as_sent(self, params: Any) -> Any:
        return _as_sent(params)


class BaseVerifyRequest(BaseRunRequest):
    """A task row and what the policy made of it."""

    response: NeMoGymResponse

    @field_serializer("response")
    def _response_as_sent(self, response: Any) -> Any:
        return _as_sent(response)


class BaseVerifyResponse(BaseVerifyRequest):
    """The verdict: `reward` is finite; higher is better. Whatever else is numeric is a metric."""

    reward: float


class BaseSeedSessionRequest(BaseModel):
    """The task row that opens a session."""

    model_config = ConfigDict(extra="allow")


class BaseSeedSessionResponse(BaseModel):
    """What the agent may want to know of the new session; empty by default."""

    model_config = ConfigDict(extra="allow")


class RawRunRequest(RawJson[BaseRunRequest]):
    """A task row that is passed on as it came."""

    json_model = BaseRunRequest
