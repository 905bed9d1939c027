"""Which tool the user's last message asks for, if any.

A model of 135 million parameters that is simply let write a call takes whichever tool name it likes best. It is a much
better reader than writer, so the question is turned round: under the assumption "the user asks for <description of the
tool>", how likely is what the user said? The assumption that explains the message best wins (Bayes' rule with equal
priors, known as a noisy channel model: arXiv:2108.04106). A few fixed assumptions stand for "wants no tool".
"""

import asyncio
from collections.abc import Sequence

from responses_api_models.local_model.conversation import Conversation
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.tools import Tool, ToolChoice

NO_TOOL_TASKS = ("Answer a question or talk.", "Explain something.", "Write a text.", "Greet the user and chat.")
MIN_ADVANTAGE_NATS = 2.0
"""A tool has to explain the message e^2 times better than all of `NO_TOOL_TASKS`; chat fits any assumption equally."""

_MAX_SCORED_TOKENS = 64
_MAX_DESCRIPTION_CHARS = 300


async def decide_tool(engine: Engine, conversation: Conversation, choice: ToolChoice) -> Tool | None:
    """Return the tool to call now, or None for a message.

    Costs one short generation for each tool, and for "auto" one for each of `NO_TOOL_TASKS`; nothing when the answer
    is clear: no tools, one required tool, or "auto" right after a tool's result, which is answered in words.

    Raises:
        ContextOverflowError: A description does not fit the context.
        EngineError: The engine failed.
    """
    tools = choice.tools
    if not tools or (choice.mode == "auto" and conversation.ends_with_tool_result):
        return None
    if choice.mode == "required" and len(tools) == 1:
        return tools[0]
    no_tool = NO_TOOL_TASKS if choice.mode == "auto" else ()
    scores = await _scores(engine, conversation, [*map(_task, tools), *no_tool])
    best = max(range(len(tools)), key=scores.__getitem__)
    beaten = all(scores[best] > score + MIN_ADVANTAGE_NATS for score in scores[len(tools) :])
    return tools[best] if beaten else None


def _task(tool: Tool) -> str:
    description = " ".join(tool.description.split())[:_MAX_DESCRIPTION_CHARS]
    return description or tool.name.replace("_", " ")


async def _scores(engine: Engine, conversation: Conversation, tasks: Sequence[str]) -> list[float]:
    """Return the log-probability (nats) of the user's last message under each task."""
    # Without the earlier turns: they explain "And in Paris?" under any assumption, and so blur the difference.
    said = conversation.user_texts[-1] if conversation.user_texts else ""
    prompts = [f"The user asks the assistant to do this: {task}\nUser:" for task in tasks]
    return await asyncio.gather(
        *(engine.log_prob(prompt, f" {said}", max_tokens=_MAX_SCORED_TOKENS) for prompt in prompts)
    )
