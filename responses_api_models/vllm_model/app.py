"""Chat Completions endpoints as the model: vLLM, SGLang, or any other; with token data where they give it."""

from typing import Annotated, Literal

import orjson
from fastapi import Body, FastAPI
from pydantic import BaseModel, Field, HttpUrl

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.models.chat import ChatOptions
from nemo_gym.models.endpoints import ChatEndpoint, EndpointModel, TokenSource
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI, RawParams, RawResponse
from nemo_gym.server_utils import SESSION_ID_HEADER
from nemo_gym.servers.http.retry import RetryLimit
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.vllm_model.chat_template import ChatTemplate
from responses_api_models.vllm_model.sglang_tokens import SGLangTokens
from responses_api_models.vllm_model.template_check import TemplateCheck
from responses_api_models.vllm_model.vllm_tokens import VLLMTokens


class VLLMModelConfig(BaseResponsesAPIModelConfig):
    base_url: str | list[str] = Field(description="URL of the API (…/v1), or several that serve the same model.")
    api_key: str = Field(default="", description="Key of the endpoints; empty: none is sent.")
    model: str = Field(description="Name of the model at the endpoints; replaces what a request names.")
    return_token_id_information: bool = Field(
        default=False, description="Record prompt ids, sampled ids and log-probabilities of each call on its last item."
    )
    uses_reasoning_parser: bool = Field(
        default=False,
        description="The engine writes reasoning in a field of its own, and takes it back there. false: it is in the "
        "text between <think> tags, and goes back so.",
    )
    reasoning_field: Literal["reasoning", "reasoning_content"] = Field(
        default="reasoning", description="That field, in earlier answers that are sent; answers may have either."
    )
    template_opens_think: bool = Field(default=False, description="The chat template ends with <think>.")
    replace_developer_role_with_system: bool = Field(
        default=False, description="For chat templates that know no developer messages."
    )
    chat_template_kwargs: JsonObject = Field(default={}, description="Passed to the chat template.")
    extra_body: JsonObject = Field(default={}, description="Further fields for each request that lacks them.")
    engine: Literal["vllm", "sglang"] = Field(
        default="vllm", description="Whose routes give token data; without token data any endpoint will do."
    )
    chat_template: str | None = Field(
        default=None,
        description="For token data from SGLang: file of the model's chat template, or its tokenizer_config.json.",
    )
    tool_call_parser: str | None = Field(
        default=None, description="For token data from SGLang: its parser for the model's tool calls, such as qwen25."
    )
    wait_for_engine_s: float = Field(
        default=600.0,
        gt=0,
        description="How long a call waits for an engine that can't be reached, answers 429 or 5xx, or hangs up, as "
        "while it is restarted or its weights are swapped; in seconds from the first failure.",
    )


class Endpoints(BaseModel):
    """Which endpoints serve the model from now on."""

    base_url: HttpUrl | Annotated[list[HttpUrl], Field(min_length=1)]

    @property
    def urls(self) -> list[str]:
        """Base URLs, as they were given."""
        return [str(url) for url in (self.base_url if isinstance(self.base_url, list) else [self.base_url])]


class VLLMModel(EndpointModel):
    config: VLLMModelConfig
    _client: NeMoGymAsyncOpenAI
    _template: TemplateCheck

    def make_endpoint(self) -> ChatEndpoint:
        config = self.config
        wait = [RetryLimit(name, None, config.wait_for_engine_s) for name in ("engine", "unreachable", "lost")]
        self._client = NeMoGymAsyncOpenAI(
            config.base_url, config.api_key, name=config.name, limit=wait[0], unreachable=wait[1], lost=wait[2]
        )
        self._template = TemplateCheck(self._client, config.name, config.model)
        kwargs = {"chat_template_kwargs": config.chat_template_kwargs} if config.chat_template_kwargs else {}
        return ChatEndpoint(
            self._client,
            name=config.name,
            model=config.model,
            options=self._options(),
            extra_body={**kwargs, **config.extra_body},
            tokens=self._token_source(),
            limit=wait[0],
        )

    def _options(self) -> ChatOptions:
        config = self.config
        return ChatOptions(
            reasoning=config.reasoning_field if config.uses_reasoning_parser else "think_tags",
            max_tokens_field="max_tokens",
            developer_role="system" if config.replace_developer_role_with_system else "developer",
            template_opens_think=config.template_opens_think,
        )

    def _token_source(self) -> TokenSource | None:
        config = self.config
        if not config.return_token_id_information:
            return None
        if config.engine == "vllm":
            return VLLMTokens(self._client, config.name)
        if config.chat_template is None:
            what = f"{config.name}: token data from SGLang needs the model's chat template"
            raise ConfigError(
                Mistake(what, fix=f"{config.name}….chat_template: /models/my_model/tokenizer_config.json")
            )
        template = ChatTemplate(config.chat_template, config.name)
        return SGLangTokens(self._client, config.name, template, config.tool_call_parser)

    def setup_webserver(self) -> FastAPI:
        """Return the app with the routes of a model server, `/endpoints`, `/tokenize` and `/detokenize`."""
        app = super().setup_webserver()
        app.get("/endpoints")(self.endpoints)
        app.post("/endpoints")(self.replace_endpoints)
        app.post("/tokenize")(self.tokenize)
        app.post("/detokenize")(self.detokenize)
        return app

    async def responses(self, body: RawParams = Body()) -> RawResponse:
        params = RawParams.json_of(body)
        if self.config.engine == "vllm":
            await self._template.check(params.json_value("tools"))
        return await super().responses(params)

    async def endpoints(self) -> list[JsonObject]:
        """Return the endpoints: `url`, `in_flight` calls, `is_down`."""
        return self._client.endpoints.state()

    async def replace_endpoints(self, body: Endpoints, only_here: bool = False) -> list[JsonObject]:
        """Ask other endpoints from now on, in every worker; what is in flight at the old ones ends there."""
        if only_here or not self.config.worker_urls:
            self._client.endpoints.replace(body.urls)
            return self._client.endpoints.state()
        # An id that names a worker leads to it.
        for index in range(len(self.config.worker_urls)):
            answer = await self.server_client.post(
                self.config.name,
                "/endpoints?only_here=true",
                json=body,
                headers={SESSION_ID_HEADER: f"w{index}-endpoints"},
            )
            answer.raise_for_status()
        states: list[JsonObject] = orjson.loads(answer.body)
        return states

    async def tokenize(self, body: JsonObject = Body()) -> JsonObject:
        """Pass a request on to the engine's `/tokenize`."""
        return await self._client.create_tokenize(**{"model": self.config.model, **body})

    async def detokenize(self, body: JsonObject = Body()) -> JsonObject:
        """Pass a request on to the engine's `/detokenize`."""
        answer = await self._client.send("/detokenize", {"model": self.config.model, **body}, at_root=True)
        return self._client.decoded(answer)


if __name__ == "__main__":
    VLLMModel.run_webserver()
