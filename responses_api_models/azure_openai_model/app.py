"""A deployment of Azure OpenAI as the model.

Source: Azure OpenAI documentation, REST reference: `{endpoint}/openai/deployments/{deployment}/chat/completions` and
`{endpoint}/openai/responses`, each with `api-version`; header `api-key`, or a bearer token of Microsoft Entra ID.
"""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping

from pydantic import Field, model_validator

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.secrets import learn_secrets
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

EntraProvider = Callable[[], str | Awaitable[str]]


class AzureOpenAIModelConfig(BaseResponsesAPIModelConfig):
    azure_endpoint: str = Field(description="URL of the resource: https://<name>.openai.azure.com")
    deployment: str = Field(description="Name of the deployment, which takes the place of a model's name.")
    api_version: str = Field(description="Version of the REST API, such as 2024-10-21.")
    api_key: str | None = Field(default=None, description="Key of the resource.")
    entra_provider: str | None = Field(
        default=None,
        description="In place of a key: `module:function`, which returns an Entra ID token before each request.",
    )
    api: ApiChoice = Field(default="auto", description="Which API the deployment is asked in; as for openai_model.")
    extra_headers: dict[str, str] = Field(default={}, description="Further headers of each request.")
    extra_body: JsonObject = Field(default={}, description="Further fields for each request that lacks them.")
    proxy: str | None = Field(default=None, description="URL of the HTTP proxy on the way to the endpoint.")

    @model_validator(mode="after")
    def _one_credential(self) -> "AzureOpenAIModelConfig":
        if bool(self.api_key) == bool(self.entra_provider):
            raise ValueError("give one of api_key and entra_provider")
        return self


class AzureOpenAIModel(EndpointModel):
    config: AzureOpenAIModelConfig

    def make_endpoint(self) -> ModelEndpoint:
        config = self.config
        root = config.azure_endpoint.rstrip("/").removesuffix("/openai") + "/openai"
        name, deployment, extra = config.name, config.deployment, config.extra_body
        responses = ResponsesEndpoint(self._client(root), name=name, model=deployment, extra_body=extra)
        chat = ChatEndpoint(
            self._client(f"{root}/deployments/{deployment}"),
            name=name,
            model=deployment,
            options=ChatOptions(reasoning="drop"),
            extra_body=extra,
        )
        return endpoint_for(config.api, responses, chat)

    def _client(self, url: str) -> NeMoGymAsyncOpenAI:
        config = self.config
        learn_secrets({"api_key": config.api_key})
        key = {"api-key": config.api_key} if config.api_key else {}
        return NeMoGymAsyncOpenAI(
            url,
            name=config.name,
            headers={**key, **config.extra_headers},
            fresh_headers=_bearer(_function(config.entra_provider)) if config.entra_provider else None,
            query={"api-version": config.api_version},
            proxy=config.proxy,
        )


def _function(path: str) -> EntraProvider:
    """Return the function that a setting names; raises ConfigError when there is none."""
    module, _, name = path.partition(":")
    try:
        function: EntraProvider = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        what = f"entra_provider names no function: {path!r} ({error})"
        raise ConfigError(Mistake(what, fix="entra_provider: my_module:get_token")) from error
    return function


def _bearer(provider: EntraProvider) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """A source may keep its token and renew it by a request, so one that isn't async is called in a thread."""

    async def headers() -> Mapping[str, str]:
        if inspect.iscoroutinefunction(provider):
            token = await provider()
        else:
            token = await asyncio.to_thread(provider)
        learn_secrets({"token": token})
        return {"authorization": f"Bearer {token}"}

    return headers


if __name__ == "__main__":
    AzureOpenAIModel.run_webserver()
