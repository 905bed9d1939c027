"""OpenAI, or any endpoint with a Responses or a Chat Completions API, as the model."""

from pydantic import Field

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig
from nemo_gym.models.chat import ChatOptions
from nemo_gym.models.endpoints import (
    ApiChoice,
    ChatEndpoint,
    EndpointModel,
    ModelEndpoint,
    ResponsesEndpoint,
    endpoint_for,
)
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI
from nemo_gym.wire.json_object import JsonObject


class OpenAIModelConfig(BaseResponsesAPIModelConfig):
    openai_base_url: str | list[str] = Field(description="URL of the API (…/v1), or several that serve the same model.")
    openai_api_key: str = Field(description="Key of the endpoint; an endpoint that wants none takes any text.")
    openai_model: str = Field(description="Name of the model at the endpoint; replaces what a request names.")
    api: ApiChoice = Field(
        default="auto",
        description="Which API the endpoint is asked in. auto: the request's own, or the other where it lacks that.",
    )
    organization: str | None = Field(default=None, description="Sent as OpenAI-Organization.")
    project: str | None = Field(default=None, description="Sent as OpenAI-Project.")
    extra_headers: dict[str, str] = Field(default={}, description="Further headers of each request.")
    extra_body: JsonObject = Field(default={}, description="Further fields for each request that lacks them.")
    proxy: str | None = Field(default=None, description="URL of the HTTP proxy on the way to the endpoint.")


class OpenAIModel(EndpointModel):
    config: OpenAIModelConfig

    def make_endpoint(self) -> ModelEndpoint:
        config = self.config
        named = {"OpenAI-Organization": config.organization, "OpenAI-Project": config.project}
        headers = {name: value for name, value in named.items() if value is not None} | config.extra_headers
        client = NeMoGymAsyncOpenAI(
            config.openai_base_url, config.openai_api_key, name=config.name, headers=headers, proxy=config.proxy
        )
        name, model, extra = config.name, config.openai_model, config.extra_body
        responses = ResponsesEndpoint(client, name=name, model=model, extra_body=extra)
        chat = ChatEndpoint(client, name=name, model=model, options=ChatOptions(reasoning="drop"), extra_body=extra)
        return endpoint_for(config.api, responses, chat)


if __name__ == "__main__":
    OpenAIModel.run_webserver()
