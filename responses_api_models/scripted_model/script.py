"""Which prepared answer a model call gets: the row's own script, else the first rule that holds, else the default."""

from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from responses_api_models.scripted_model.answer import Answer
from responses_api_models.scripted_model.condition import When
from responses_api_models.scripted_model.conversation import Conversation
from responses_api_models.scripted_model.openai_error import RequestError


class Rule(BaseModel):
    """An answer and the requests it is for."""

    model_config = ConfigDict(extra="forbid")

    when: When = Field(description="A condition, or `any`.")
    answer: Answer


def choose_answer(conversation: Conversation, rules: Sequence[Rule], default: Answer) -> Answer:
    """Return the first answer that fits, templates filled.

    Args:
        conversation: The request. Its `script` (a list, at the top level) or `metadata.script` (the same list as
            JSON text) holds the answers of its rollout: entry N, from 0, answers the model call at step N.
        rules: Tried in order when the row has no script, or its script has ended.
        default: For what no rule is about.

    Raises:
        RequestError: The row's script is no list, or its entry is no valid answer; the message says why.
    """
    scripted = _scripted_answer(conversation)
    if scripted is not None:
        return scripted
    for rule in rules:
        groups = rule.when.match(conversation)
        if groups is not None:
            return rule.answer.filled(groups)
    return default


def _scripted_answer(conversation: Conversation) -> Answer | None:
    script = _script(conversation)
    if script is None:
        return None
    if not isinstance(script, list):
        raise RequestError("'script' must be a list of answers, one for each model call.", param="script")
    if conversation.step >= len(script):
        return None
    try:
        return Answer.model_validate(script[conversation.step])
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise RequestError(f"'script' entry {conversation.step}: {reasons}", param="script") from error


def _script(conversation: Conversation) -> Any:
    script = conversation.request.get("script")
    if script is not None:
        return script
    encoded = conversation.metadata.get("script")
    try:
        return None if encoded is None else orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"'metadata.script' is no JSON text: {error}", param="metadata.script") from error
