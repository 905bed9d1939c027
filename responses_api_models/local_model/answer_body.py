"""The answer in the shape of either API."""

import time
from uuid import uuid4

from nemo_gym.openai_utils import (
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymChatCompletionMessage,
    NeMoGymChatCompletionMessageToolCall,
    NeMoGymChoice,
    NeMoGymCompletionUsage,
    NeMoGymFunction,
    NeMoGymIncompleteDetails,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseInputTokensDetails,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseOutputText,
    NeMoGymResponseUsage,
)
from responses_api_models.local_model.answering import Answer
from responses_api_models.local_model.generation import Generation, Sampling


def response_body(
    answer: Answer, request: NeMoGymResponseCreateParamsNonStreaming, sampling: Sampling, model: str
) -> NeMoGymResponse:
    """Return `answer` as a Response; one that a token limit cut off has status "incomplete"."""
    cut_off = answer.generation.finish_reason == "length"
    status = "incomplete" if cut_off else "completed"
    return NeMoGymResponse(
        id=_new_id("resp"),
        created_at=time.time(),
        model=model,
        output=[_item(answer, status)],
        tools=request.model_dump(include={"tools"})["tools"],
        tool_choice=request.model_dump(include={"tool_choice"})["tool_choice"],
        # One call for each answer, whatever was asked.
        parallel_tool_calls=False,
        status=status,
        incomplete_details=NeMoGymIncompleteDetails(reason="max_output_tokens") if cut_off else None,
        usage=_usage(answer.generation),
        instructions=request.instructions,
        metadata=request.metadata,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_output_tokens=sampling.max_tokens,
    )


def chat_body(
    answer: Answer, request: NeMoGymChatCompletionCreateParamsNonStreaming, model: str
) -> NeMoGymChatCompletion:
    """Return `answer` as a chat completion with one choice."""
    generation = answer.generation
    calls = [_chat_call(answer.tool_name, answer.text)] if answer.tool_name is not None else None
    ended = "tool_calls" if calls else "stop"
    return NeMoGymChatCompletion(
        id=_new_id("chatcmpl"),
        created=int(time.time()),
        model=model,
        choices=[
            NeMoGymChoice(
                message=NeMoGymChatCompletionMessage(content=None if calls else answer.text, tool_calls=calls),
                finish_reason="length" if generation.finish_reason == "length" else ended,
            )
        ],
        usage=NeMoGymCompletionUsage(
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
            total_tokens=generation.prompt_tokens + generation.completion_tokens,
        ),
        metadata=request.metadata,
    )


def _item(answer: Answer, status: str) -> NeMoGymResponseFunctionToolCall | NeMoGymResponseOutputMessage:
    if answer.tool_name is None:
        text = NeMoGymResponseOutputText(text=answer.text)
        return NeMoGymResponseOutputMessage(id=_new_id("msg"), content=[text], status=status)
    return NeMoGymResponseFunctionToolCall(
        id=_new_id("fc"), call_id=_new_id("call"), name=answer.tool_name, arguments=answer.text, status=status
    )


def _chat_call(name: str, arguments: str) -> NeMoGymChatCompletionMessageToolCall:
    return NeMoGymChatCompletionMessageToolCall(
        id=_new_id("call"), function=NeMoGymFunction(name=name, arguments=arguments)
    )


def _usage(generation: Generation) -> NeMoGymResponseUsage:
    return NeMoGymResponseUsage(
        input_tokens=generation.prompt_tokens,
        output_tokens=generation.completion_tokens,
        total_tokens=generation.prompt_tokens + generation.completion_tokens,
        input_tokens_details=NeMoGymResponseInputTokensDetails(cached_tokens=generation.cached_tokens),
    )


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid4().hex}"
