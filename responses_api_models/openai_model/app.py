"""OpenAI-compatible endpoint as the policy model: OpenAI itself, Azure's v1 API, vLLM, or any other of that shape."""

from fastapi import Body
from pydantic import Field, ValidationError

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.openai_utils import (
    NeMoGymAsyncOpenAI,
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    RawParams,
    RawResponse,
)
from nemo_gym.server_utils import RolloutError, rollout_error, unfinished_response
from nemo_gym.wire.token_arrays import TokenArrayError


class OpenAIModelConfig(BaseResponsesAPIModelConfig):
    openai_base_url: str | list[str] = Field(description="URL of the API (…/v1), or several that serve the same model.")
    openai_api_key: str = Field(description="Key of the endpoint; an endpoint that wants none takes any text.")
    openai_model: str = Field(description="Name of the model at the endpoint; replaces what a request names.")


class OpenAIModel(SimpleResponsesAPIModel):
    config: OpenAIModelConfig
    _endpoint: NeMoGymAsyncOpenAI

    def model_post_init(self, context: object, /) -> None:
        super().model_post_init(context)
        self._endpoint = NeMoGymAsyncOpenAI(
            self.config.openai_base_url, self.config.openai_api_key, name=self.config.name
        )

    async def responses(self, body: RawParams = Body()) -> RawResponse:
        params = RawParams.json_of(body).json_with(model=self.config.openai_model)
        answer = await self._endpoint.create_raw_response(params)
        try:
            response = RawResponse.json_checked(answer)
            head = response.json_head
        except TokenArrayError as error:
            raise rollout_error("token_data_invalid", str(error), server=self.config.name) from error
        except ValueError as error:
            raise self._bad_output("Response", error) from error
        unfinished = unfinished_response(head.status, head.error)
        if unfinished is not None:
            raise rollout_error(unfinished[0], f"{self.config.name}: {unfinished[1]}", server=self.config.name)
        return response

    async def chat_completions(
        self, body: NeMoGymChatCompletionCreateParamsNonStreaming = Body()
    ) -> NeMoGymChatCompletion:
        params = {**body.model_dump(exclude_unset=True), "model": self.config.openai_model}
        answer = await self._endpoint.create_chat_completion(**params)
        try:
            return NeMoGymChatCompletion.model_validate(answer)
        except ValidationError as error:
            raise self._bad_output("chat completion", error) from error

    def _bad_output(self, shape: str, error: ValueError) -> RolloutError:
        what = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        reason = f"the endpoint of {self.config.name} answered something that isn't a {shape}: {what}"
        return rollout_error("model_bad_output", reason, server=self.config.name, status=200)


if __name__ == "__main__":
    OpenAIModel.run_webserver()
