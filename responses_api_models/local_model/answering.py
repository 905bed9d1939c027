"""One answer of the model: a tool call or a message."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from responses_api_models.local_model.conversation import Conversation
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import (
    Generation,
    GenerationRequest,
    RefusedRequestError,
    Sampling,
)
from responses_api_models.local_model.prompt import Prompt, write_prompt
from responses_api_models.local_model.tool_decision import decide_tool
from responses_api_models.local_model.tools import Tool, ToolChoice, call_schema

_MAX_BIASED_WORDS = 200
_JSON_BEGINS = tuple('{["-0123456789tfn')


@dataclass(frozen=True)
class Wanted:
    """What an answer should be like.

    Attributes:
        choice: The tools the model may or must call.
        sampling: How tokens are drawn.
        json_schema: Of a message's text; None leaves it free.
        num_top_log_probs: Likeliest tokens to report at each position of a message; None reports nothing.
        token_data: Continue the last call by its ids, and tell the log-probability of every sampled token.
        copy_bias: Added to the logits of the user's words while arguments are written (nats), 0 for none.
    """

    choice: ToolChoice
    sampling: Sampling
    json_schema: Mapping[str, Any] | None
    num_top_log_probs: int | None
    token_data: bool
    copy_bias: float


@dataclass(frozen=True)
class Answer:
    """What the model answers.

    Attributes:
        tool_name: The tool it calls; None for a message.
        text: The message, or the call's arguments as JSON (cut off when `generation.finish_reason` is `length`).
        prompt: What it was given.
        generation: Tokens and finish reason.
    """

    tool_name: str | None
    text: str
    prompt: Prompt
    generation: Generation


async def answer(engine: Engine, conversation: Conversation, wanted: Wanted) -> Answer:
    """Let the model answer.

    Raises:
        ContextOverflowError: The conversation does not fit the context.
        RefusedRequestError: A JSON schema, of a tool or of the text, is not understood.
        EngineError: The engine failed.
    """
    tool = await decide_tool(engine, conversation, wanted.choice)
    instructions = "" if tool is None else _call_instructions(tool)
    prompt = await write_prompt(engine, conversation, instructions, continues=wanted.token_data)
    top = None if tool else wanted.num_top_log_probs
    said = await engine.generate(
        GenerationRequest(
            prompt_ids=prompt.ids,
            sampling=wanted.sampling,
            json_schema=call_schema(tool) if tool else wanted.json_schema,
            logit_bias_by_text=_copied_words(conversation, wanted.copy_bias) if tool else {},
            num_top_log_probs=0 if top is None else max(top, 1),
            wants_log_probs=wanted.token_data,
        )
    )
    if tool is not None:
        return Answer(tool.name, _arguments(tool, said.text), prompt, said)
    if wanted.json_schema is not None:
        _check_json(said)
    return Answer(None, said.text, prompt, said)


def _call_instructions(tool: Tool) -> str:
    declared = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return (
        f"You can call these tools:\n{json.dumps(declared, ensure_ascii=False)}\n\n"
        'To call a tool, answer with JSON: {"name": <tool name>, "arguments": <arguments>}'
    )


def _copied_words(conversation: Conversation, copy_bias: float) -> Mapping[str, float]:
    # Without it "Lima" comes back as "LIMA" and "Athens" as "Aegean Islands". Words only: favored digits never end.
    if not copy_bias or not conversation.user_texts:
        return {}
    words = list(dict.fromkeys(re.findall(r"[^\W\d_]+", conversation.user_texts[-1])))[-_MAX_BIASED_WORDS:]
    return {text: copy_bias for word in words for text in (word, f" {word}")}


# llama.cpp goes on without a grammar when it cannot make one of a schema, and only logs it: hence both checks below.


def _arguments(tool: Tool, call: str) -> str:
    opening = f'{{"name": {json.dumps(tool.name)}, "arguments": '
    if not opening.startswith(call[: len(opening)]):
        raise RefusedRequestError(f"the JSON schema in `parameters` of tool {tool.name!r} is not understood")
    try:
        return json.dumps(json.loads(call)["arguments"], ensure_ascii=False)
    except ValueError:  # cut off by a limit
        return call[len(opening) :]


def _check_json(said: Generation) -> None:
    try:
        json.loads(said.text)
    except ValueError as error:
        if said.finish_reason != "length" or not said.text.startswith(_JSON_BEGINS):
            raise RefusedRequestError("the JSON schema of the text's format is not understood") from error
