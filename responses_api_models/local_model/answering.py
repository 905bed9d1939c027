"""One answer of the model: a tool call or a message."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from responses_api_models.local_model.conversation import Conversation
from responses_api_models.local_model.engine import Engine
from responses_api_models.local_model.generation import Generation, GenerationRequest, RefusedRequestError, Sampling
from responses_api_models.local_model.tool_decision import decide_tool
from responses_api_models.local_model.tools import Tool, ToolChoice, call_schema

_MAX_BIASED_WORDS = 200


@dataclass(frozen=True)
class Answer:
    """What the model answers.

    Attributes:
        tool_name: The tool it calls; None for a message.
        text: The message, or the call's arguments as JSON (cut off when `generation.finish_reason` is `length`).
        generation: Counts and finish reason.
    """

    tool_name: str | None
    text: str
    generation: Generation


async def answer(
    engine: Engine, conversation: Conversation, choice: ToolChoice, sampling: Sampling, *, copy_bias: float
) -> Answer:
    """Let the model answer.

    Args:
        engine: The model.
        conversation: What was said so far.
        choice: The tools it may or must call.
        sampling: How tokens are drawn.
        copy_bias: Added to the logits of the user's words while arguments are written (nats), 0 for none.

    Raises:
        ContextOverflowError: The conversation does not fit the context.
        RefusedRequestError: A tool's JSON schema is not understood.
        EngineError: The engine failed.
    """
    tool = await decide_tool(engine, conversation, choice)
    if tool is None:
        said = await engine.generate(GenerationRequest(conversation.with_instructions(), sampling))
        return Answer(None, said.text.strip(), said)
    messages = conversation.with_instructions(_call_instructions(tool))
    bias = _copied_words(conversation, copy_bias)
    call = await engine.generate(GenerationRequest(messages, sampling, call_schema(tool), bias))
    return Answer(tool.name, _arguments(tool, call.text), call)


def _call_instructions(tool: Tool) -> str:
    declared = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return (
        f"You can call these tools:\n{json.dumps(declared, ensure_ascii=False)}\n\n"
        'To call a tool, answer with JSON: {"name": <tool name>, "arguments": <arguments>}'
    )


def _copied_words(conversation: Conversation, copy_bias: float) -> Mapping[str, float]:
    # Without it "Lima" comes back as "LIMA" and "Athens" as "Aegean Islands". Words only: favoured digits never end.
    if not copy_bias or not conversation.user_texts:
        return {}
    words = list(dict.fromkeys(re.findall(r"[^\W\d_]+", conversation.user_texts[-1])))[-_MAX_BIASED_WORDS:]
    return {text: copy_bias for word in words for text in (word, f" {word}")}


def _arguments(tool: Tool, call: str) -> str:
    opening = f'{{"name": {json.dumps(tool.name)}, "arguments": '
    if not opening.startswith(call[: len(opening)]):
        # llama.cpp goes on without a grammar when it cannot make one of the schema, and only logs it.
        raise RefusedRequestError(f"the JSON schema in `parameters` of tool {tool.name!r} is not understood")
    try:
        return json.dumps(json.loads(call)["arguments"], ensure_ascii=False)
    except ValueError:  # cut off by a limit
        return call[len(opening) :]
