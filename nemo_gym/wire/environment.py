"""What travels between an agent and a resources server: a task row, the seed, the verify request and the verdict."""

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.wire.raw_json import RawJson


class ModelUsage(BaseModel):
    """Calls to a model other than the policy, for one rollout, and their tokens; None where an answer doesn't tell."""

    calls: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    total_tokens: int | None = 0

    @classmethod
    def of(cls, responses: Iterable[NeMoGymResponse]) -> Self:
        """Add up the usage of several answers."""
        usages = [response.usage for response in responses]
        known = [usage for usage in usages if usage is not None]
        if len(known) < len(usages):
            return cls(calls=len(usages), input_tokens=None, output_tokens=None, total_tokens=None)
        return cls(
            calls=len(known),
            input_tokens=sum(usage.input_tokens for usage in known),
            output_tokens=sum(usage.output_tokens for usage in known),
            total_tokens=sum(usage.total_tokens for usage in known),
        )


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


class UserTurn(BaseModel):
    """What the user says next."""

    message: JsonObject | None = Field(
        default=None, description="A message item with role `user`; null: the episode is over."
    )
    usage: ModelUsage | None = Field(default=None, description="What models cost that played the user in this turn.")


class NextTurnRequest(BaseVerifyRequest):
    """A task row and what there is so far, whose last item is the policy's message."""

    replayed_turn: UserTurn | None = Field(
        default=None,
        description="The state of a session is brought back for a new verdict: the turn as it was taken before.",
    )


class BaseSeedSessionRequest(BaseModel):
    """The task row that opens a session."""

    model_config = ConfigDict(extra="allow")


class BaseSeedSessionResponse(BaseModel):
    """What the agent may want to know of the new session; empty by default."""

    model_config = ConfigDict(extra="allow")


class RawRunRequest(RawJson[BaseRunRequest]):
    """A task row that is passed on as it came."""

    json_model = BaseRunRequest
