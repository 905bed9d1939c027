"""Items, Responses and task rows from plain words."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_items import (
    NeMoGymEasyInputMessage,
    NeMoGymFunctionCallOutput,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseOutputText,
    NeMoGymResponseReasoningItem,
    NeMoGymSummary,
)

Item = (
    NeMoGymResponseOutputMessage
    | NeMoGymResponseFunctionToolCall
    | NeMoGymFunctionCallOutput
    | NeMoGymResponseReasoningItem
    | NeMoGymEasyInputMessage
)

_NO_ID = ""  # calls and results are numbered by `numbered`, in the order in which they stand


def assistant(text: str) -> NeMoGymResponseOutputMessage:
    """Return a message of the policy."""
    return NeMoGymResponseOutputMessage(id="msg", content=[NeMoGymResponseOutputText(text=text)])


def reasoning(text: str) -> NeMoGymResponseReasoningItem:
    """Return what the policy thought before it spoke."""
    return NeMoGymResponseReasoningItem(id="rs", summary=[NeMoGymSummary(text=text)])


def user(text: str) -> NeMoGymEasyInputMessage:
    """Return a message of the user."""
    return NeMoGymEasyInputMessage(role="user", content=text, type="message")


def call(name: str, written: str | None = None, /, **arguments: Any) -> NeMoGymResponseFunctionToolCall:
    """Return a tool call of the policy.

    Args:
        name: Of the tool.
        written: The arguments as a text that is sent as it is, such as broken JSON; instead of `arguments`.
        arguments: By name.
    """
    text = orjson.dumps(arguments).decode() if written is None else written
    return NeMoGymResponseFunctionToolCall(name=name, arguments=text, call_id=_NO_ID)


def tool_result(output: Any) -> NeMoGymFunctionCallOutput:
    """Return the result of the first call that has none yet: a text as it is, anything else as JSON."""
    text = output if isinstance(output, str) else orjson.dumps(output).decode()
    return NeMoGymFunctionCallOutput(call_id=_NO_ID, output=text)


def response(*items: Item | str, is_cut_off: bool = False) -> NeMoGymResponse:
    """Return the Response that has these items as its output; a text is a message of the policy.

    Args:
        items: In order. Calls and results without an id get matching ones.
        is_cut_off: The last answer reached its limit of tokens.
    """
    cut_off = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}} if is_cut_off else {}
    output = [item.model_dump(exclude_unset=True) for item in numbered(items)]
    return NeMoGymResponse.model_validate(
        {"id": "resp", "created_at": 0, "model": "policy", "status": "completed", "output": output, **cut_off}
    )


def numbered(items: Iterable[Item | str], start: int = 1) -> list[Item]:
    """Return items with an id for each call and result that has none, counted from `start`; texts become messages."""
    done: list[Item] = []
    waiting: list[str] = []
    for item in items:
        if isinstance(item, str):
            done.append(assistant(item))
        elif isinstance(item, NeMoGymResponseFunctionToolCall):
            call_id = item.call_id or f"call_{start}"
            start += 1
            waiting.append(call_id)
            done.append(item.model_copy(update={"call_id": call_id}))
        elif isinstance(item, NeMoGymFunctionCallOutput) and not item.call_id:
            if not waiting:
                raise ValueError(f"the tool result {item.output!r} has no call before it that lacks one")
            done.append(item.model_copy(update={"call_id": waiting.pop(0)}))
        else:
            done.append(item)
    return done


def task(prompt: str | list[Any] | Mapping[str, Any] = "Hello.", /, **fields: Any) -> JsonObject:
    """Return a task row.

    Args:
        prompt: The user's text or the items of the input; or a whole row, whose fields the others replace.
        fields: What the verifier needs.
    """
    if isinstance(prompt, Mapping):
        return {**prompt, **fields}
    given = prompt if isinstance(prompt, str) else [_plain(item) for item in prompt]
    return {"responses_create_params": {"input": given}, **fields}


def _plain(item: Any) -> Any:
    return item.model_dump(exclude_unset=True) if hasattr(item, "model_dump") else item
