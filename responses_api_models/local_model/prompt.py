"""The token ids that a call is given: the whole conversation rendered, or the last call's own ids and what came after.

Rendering an answer again need not give the tokens that the model wrote. A trainer needs the prompt of each call to
begin with all tokens of the calls before it, so these are taken as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nemo_gym.models.chat import CallTokenData
from responses_api_models.local_model.conversation import Conversation
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import ChatMessage, RefusedRequestError

# What a template makes of an answer can't be wrong here, because none of it is kept.
_PLACEHOLDER = "placeholder-of-the-answer"


@dataclass(frozen=True)
class Prompt:
    """Attributes: `ids`, shape (num_prompt_tokens,); `opens_think`: the template itself has begun a `<think>` block."""

    ids: list[int]
    opens_think: bool


async def write_prompt(engine: Engine, conversation: Conversation, instructions: str, *, continues: bool) -> Prompt:
    """Return the prompt for the next answer.

    Args:
        engine: The model.
        conversation: What was said so far.
        instructions: Added to it: to the opening ones, or to its end where it continues a call.
        continues: Begin with all ids of the last call, if the conversation carries them.

    Raises:
        RefusedRequestError: The chat template refuses the messages.
        EngineError: The engine failed.
    """
    if continues and conversation.last_call is not None:
        return await _continued(engine, conversation.last_call, conversation.later(instructions))
    rendered = await engine.render(conversation.with_instructions(instructions))
    return Prompt(await engine.tokenize(rendered, begins_document=True), _opens_think(rendered))


async def _continued(engine: Engine, call: CallTokenData, later: Sequence[ChatMessage]) -> Prompt:
    answered = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _PLACEHOLDER}]
    rendered = await engine.render([*answered, *later])
    _, found, after = rendered.partition(_PLACEHOLDER)
    if not found:
        raise RefusedRequestError("the chat template leaves out what the assistant said: set chat_template to another")
    after_ids = await engine.tokenize(after)
    end = engine.turn_end
    if call.generation_token_ids[-1:] == [end] and end in after_ids:
        # The model ended its answer itself. One that was cut off still needs its end.
        after_ids = after_ids[after_ids.index(end) + 1 :]
    return Prompt([*call.prompt_token_ids, *call.generation_token_ids, *after_ids], _opens_think(rendered))


def _opens_think(rendered: str) -> bool:
    return rendered.rstrip().endswith("<think>")
