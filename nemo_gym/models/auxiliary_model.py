"""A model beside the policy, which an environment asks: with one prompt, within bounds. Judges and simulated users."""

import asyncio
from typing import Annotated, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import HttpResponse, failure_of
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.wire.failure import AnyKind, Failure, Origin, RolloutError, Stage, rollout_error
from nemo_gym.wire.http_errors import unfinished_response
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming


def _without_input(params: JsonObject) -> JsonObject:
    if params.get("input"):
        raise ValueError("leave `input` out: it is made from `system` and `prompt`")
    return NeMoGymResponseCreateParamsNonStreaming.model_validate({**params, "input": ""}).model_dump(
        exclude_unset=True, exclude={"input"}
    )


CreateParams = Annotated[JsonObject, AfterValidator(_without_input)]
"""Parameters of every call, such as temperature, max_output_tokens and text.format."""


class AuxiliaryModelConfig(BaseModel):
    """What such a model is asked, and within which bounds."""

    model_config = ConfigDict(extra="forbid")

    system: str | None = Field(default=None, description="System message, sent as it is.")
    prompt: str | None = Field(
        default=None, description="User message, with a placeholder for each value; {{ and }} are braces."
    )
    prompt_fpath: str | None = Field(default=None, description="A file with the user message, instead of `prompt`.")
    max_concurrency: int = Field(default=64, ge=1, description="Calls to the model at a time, of one server process.")
    # Longer than the 300 s for which a model server tries a busy endpoint again: its reason arrives.
    timeout_s: float = Field(default=400.0, gt=0, description="Longest one call to the model may take, in seconds.")

    @model_validator(mode="after")
    def _has_one_prompt(self) -> Self:
        if (self.prompt is None) == (self.prompt_fpath is None):
            raise ValueError("needs either `prompt` or `prompt_fpath`")
        return self


class AuxiliaryModel:
    """Asks one model server. A server makes one and keeps it: the bound on concurrent calls is the model's.

    Args:
        client: The client of the server that asks.
        name: Instance name of the model server.
        params: Parameters of every call.
        config: What else is configured.
        role: For errors, e.g. judge.
    """

    def __init__(
        self, client: ServerClient, name: str, params: JsonObject, config: AuxiliaryModelConfig, role: str
    ) -> None:
        self.name = name
        self.role = role
        self._client = client
        self._params = params
        self._config = config
        self._turns = asyncio.Semaphore(config.max_concurrency)

    def request(self, prompt: str) -> JsonObject:
        """Return the create parameters that ask a prompt."""
        system = [] if self._config.system is None else [{"role": "system", "content": self._config.system}]
        return {**self._params, "input": [*system, {"role": "user", "content": prompt}]}

    async def answer(self, prompt: str, *, kind: AnyKind, stage: Stage) -> NeMoGymResponse:
        """Return the answer to a prompt.

        Raises:
            RolloutError: The model can't be reached, or answers with an error: a failure of `kind` at `stage`, which
                keeps origin, status, delivery and whether it is terminal.
        """
        deadline = Deadline(self._config.timeout_s, f"setting timeout_s of the {self.role}")
        try:
            async with self._turns:
                answer = await self._client.post(
                    server_name=self.name,
                    url_path="/v1/responses",
                    json=self.request(prompt),
                    replay_safe=True,
                    deadline=deadline,
                )
            return self._checked(answer)
        except RolloutError as error:
            raise self._failed(error.failure, kind, stage) from error

    def _checked(self, answer: HttpResponse) -> NeMoGymResponse:
        if not answer.ok:
            raise failure_of(answer)
        try:
            response = NeMoGymResponse.model_validate(orjson.loads(answer.body))
        except (orjson.JSONDecodeError, ValidationError) as error:
            reason = f"{self.name} answered something that isn't a Response"
            raise rollout_error("model_bad_output", reason, server=self.name, status=answer.status) from error
        unfinished = unfinished_response(response.status, response.error.model_dump() if response.error else None)
        if unfinished is not None:
            raise rollout_error(unfinished[0], unfinished[1], server=self.name, status=answer.status)
        return response

    def _failed(self, cause: Failure, kind: AnyKind, stage: Stage) -> RolloutError:
        status = cause.origin.status if cause.origin is not None else None
        said = f"the {self.role} {self.name} " + (f"answered {status}" if status and status >= 400 else "failed")
        changed = {
            "kind": kind,
            "reason": f"{said} ({cause.kind}): {cause.reason.removeprefix(f'{self.name}: ')}",
            "stage": stage,
            "origin": cause.origin or Origin(server=self.name),
        }
        return RolloutError(Failure.model_validate({**cause.model_dump(), **changed}))
