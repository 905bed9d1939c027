"""A model server that passes on to an endpoint: what is left to a concrete one is its settings."""

from fastapi import Body
from pydantic import ValidationError

from nemo_gym.base_responses_api_model import SimpleResponsesAPIModel
from nemo_gym.models.endpoints.choice import ModelEndpoint
from nemo_gym.models.endpoints.responses import bad_output
from nemo_gym.wire.openai.chat import NeMoGymChatCompletion
from nemo_gym.wire.openai.chat_params import NeMoGymChatCompletionCreateParamsNonStreaming
from nemo_gym.wire.raw_responses import RawParams, RawResponse


class EndpointModel(SimpleResponsesAPIModel):
    """Subclasses return their endpoint from `make_endpoint`."""

    _endpoint: ModelEndpoint

    def model_post_init(self, context: object, /) -> None:
        super().model_post_init(context)
        self._endpoint = self.make_endpoint()

    def make_endpoint(self) -> ModelEndpoint:
        """Return the endpoint that the settings describe."""
        raise NotImplementedError

    async def responses(self, body: RawParams = Body()) -> RawResponse:
        return await self._endpoint.respond(RawParams.json_of(body))

    async def chat_completions(
        self, body: NeMoGymChatCompletionCreateParamsNonStreaming = Body()
    ) -> NeMoGymChatCompletion:
        answer = await self._endpoint.complete(body.model_dump(exclude_unset=True))
        try:
            return NeMoGymChatCompletion.model_validate(answer)
        except ValidationError as error:
            raise bad_output(self.config.name, "chat completion", error) from error
