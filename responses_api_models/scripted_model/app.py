"""Scripted model: a policy model that plays prepared answers, with latency and faults on demand.

Answers come from the row (`script`), else from `rules`, else from `default_answer`. The model routes and the
control surface `/script/...` are the raw endpoint, so faults reach the wire as they are; see README.md.
"""

from typing import Any

from fastapi import Body, FastAPI, HTTPException
from pydantic import ConfigDict, PrivateAttr
from starlette.routing import Route

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.openai_utils import (
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model.asgi import RequestError
from responses_api_models.scripted_model.control import CONTROL_PREFIX
from responses_api_models.scripted_model.endpoint import PATHS, ScriptedEndpoint
from responses_api_models.scripted_model.script import AnswerFunction
from responses_api_models.scripted_model.settings import ScriptedSettings


class ScriptedModelConfig(BaseResponsesAPIModelConfig, ScriptedSettings):
    """Settings of the scripted model as an instance of a run."""


class ScriptedChatParams(NeMoGymChatCompletionCreateParamsNonStreaming):
    """Chat parameters with what is for the script or an engine, such as `return_token_ids`."""

    model_config = ConfigDict(extra="allow")


class ScriptedModel(SimpleResponsesAPIModel):
    """The scripted model as a model server of a run."""

    config: ScriptedModelConfig
    _endpoint: ScriptedEndpoint = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Make the endpoint that every route and every direct call share."""
        super().model_post_init(context)
        self._endpoint = ScriptedEndpoint(self.config)

    def answer_with(self, function: AnswerFunction) -> None:
        """Let a function of a program in this process choose the answers."""
        self._endpoint.function = function

    def setup_webserver(self) -> FastAPI:
        """Return the app with the raw endpoint in front of the base's validating routes of the same paths."""
        app = super().setup_webserver()
        # Without `methods`: the endpoint answers a wrong one itself, as an OpenAI endpoint would.
        paths = [*PATHS, f"{CONTROL_PREFIX}{{rest:path}}"]
        app.router.routes[:0] = [Route(path, self._endpoint, include_in_schema=False) for path in paths]
        return app

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        """Answer a call made in Python: script and latency as over HTTP, no faults."""
        return NeMoGymResponse.model_validate(await self._play("/v1/responses", body.model_dump(exclude_unset=True)))

    async def chat_completions(self, body: ScriptedChatParams = Body()) -> NeMoGymChatCompletion:
        """Answer a call made in Python: script and latency as over HTTP, no faults."""
        answer = await self._play("/v1/chat/completions", body.model_dump(exclude_unset=True))
        return NeMoGymChatCompletion.model_validate(answer)

    async def _play(self, path: str, request: JsonObject) -> JsonObject:
        try:
            return await self._endpoint.play(path, request)
        except RequestError as refusal:
            raise HTTPException(refusal.status, str(refusal)) from refusal


if __name__ == "__main__":
    ScriptedModel.run_webserver()
