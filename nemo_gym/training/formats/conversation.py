"""A rollout as a chat conversation with tools: what the task said, and what policy and tools made of it.

Source of the form: the conversational formats of TRL (`messages`, or `prompt` and `completion`, and `tools`), whose
messages are those of the Chat Completions API.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from nemo_gym.models.chat import ChatOptions, RequestConversionError, to_chat_request
from nemo_gym.training.group import LeftOutError, Rollout
from nemo_gym.training.options import ExportOptions

Message = dict[str, Any]
_NO_TOOLS = "null"


@dataclass(frozen=True)
class Conversation:
    """One rollout.

    Attributes:
        prompt: The task's messages, at least one.
        completion: The policy's messages and the tools' results, at least one.
        tools: The declared tools as JSON text of a list; "null" where there are none.
    """

    prompt: list[Message]
    completion: list[Message]
    tools: str

    @cached_property
    def prompt_text(self) -> bytes:
        """Messages and tools that the policy was given first, as JSON: two prompts are the same when this is."""
        return orjson.dumps([self.prompt, self.tools])

    @cached_property
    def completion_text(self) -> bytes:
        """What policy and tools said, as JSON without the ids of calls, which servers draw at random."""
        # In two lists more, it is nested as deeply as in an exported row: what can't be written there, can't here.
        return orjson.dumps([[[_without_ids(message) for message in self.completion]]])

    @property
    def has_tool_results(self) -> bool:
        """Whether the policy's messages have results of tools between them."""
        return any(message["role"] != "assistant" for message in self.completion)

    @property
    def loss_mask(self) -> list[int]:
        """For each message 1 where the policy wrote it, else 0: also for assistant messages that the task gave."""
        return [0] * len(self.prompt) + [int(message["role"] == "assistant") for message in self.completion]


def conversation_of(rollout: Rollout, options: ExportOptions) -> Conversation:
    """Return a rollout as a conversation.

    Raises:
        LeftOutError: It has no trajectory, its answer was cut off, or chat messages can't express it.
    """
    params, response = rollout.row.get("responses_create_params"), rollout.row.get("response")
    if not isinstance(params, dict) or not isinstance(response, dict) or not isinstance(response.get("output"), list):
        raise LeftOutError("no_trajectory", "the row lacks responses_create_params or response.output")
    if response.get("status") == "incomplete" and not options.include_truncated:
        raise LeftOutError("truncated")
    given = {"input": params.get("input"), "instructions": params.get("instructions")}
    given["tools"] = params.get("tools") or response.get("tools") or None
    prompt = _chat(given, options)
    made = _chat({"input": response["output"]}, options)["messages"]
    if not any(message["role"] == "assistant" for message in made):
        raise LeftOutError("no_trajectory", "the policy made no message")
    messages = prompt["messages"]
    if not messages or messages[-1]["role"] == "assistant":
        raise LeftOutError("continues_an_answer", "the task ends with an assistant message, or has none")
    made = made[:1] if options.completion == "first_step" else made
    cleaned = _cleaned([*messages, *made], options)
    try:
        tools = orjson.dumps(prompt["tools"]).decode() if prompt.get("tools") else _NO_TOOLS
        conversation = Conversation(cleaned[: len(messages)], cleaned[len(messages) :], tools)
        _ = conversation.prompt_text, conversation.completion_text
    except TypeError as error:  # nested too deeply, or an integer beyond 64 bits
        raise LeftOutError("not_expressible", str(error)) from error
    return conversation


def _without_ids(message: Message) -> Message:
    bare = {key: value for key, value in message.items() if key != "tool_call_id"}
    if "tool_calls" in bare:
        bare["tool_calls"] = [call["function"] for call in bare["tool_calls"]]
    return bare


def _chat(params: dict[str, Any], options: ExportOptions) -> dict[str, Any]:
    chat = ChatOptions(reasoning=options.reasoning, developer_role=options.developer_role)
    try:
        return to_chat_request(params, chat).body
    except RequestConversionError as error:
        raise LeftOutError("not_expressible", f"{error.path}: {error.problem}") from error


def _cleaned(messages: list[Message], options: ExportOptions) -> list[Message]:
    """Return messages with exactly the fields that chat templates read."""
    name_by_call: dict[str, str] = {}
    return [_message(message, options, name_by_call) for message in messages]


def _message(message: Message, options: ExportOptions, name_by_call: dict[str, str]) -> Message:
    # Without a text it is "": templates write a null as the word None.
    cleaned = {"role": message["role"], "content": _text(message["content"])}
    if reasoning := message.get("reasoning_content"):
        cleaned["reasoning_content"] = reasoning
    if calls := message.get("tool_calls"):
        cleaned["tool_calls"] = [_call(call, options) for call in calls]
        name_by_call |= {call["id"]: call["function"]["name"] for call in calls}
    if (call_id := message.get("tool_call_id")) is not None:
        cleaned["tool_call_id"] = call_id
        if call_id in name_by_call:
            cleaned["name"] = name_by_call[call_id]  # some templates want it
    return cleaned


def _call(call: dict[str, Any], options: ExportOptions) -> dict[str, Any]:
    if call["type"] != "function":
        raise LeftOutError("not_expressible", f"chat templates have no tool calls of type {call['type']!r}")
    function = call["function"]
    arguments = function["arguments"]
    if options.arguments == "object":
        arguments = _object(arguments)
    return {"id": call["id"], "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _object(text: str) -> dict[str, Any]:
    try:
        # Not orjson, which makes a float of a large integer.
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise LeftOutError("arguments_not_an_object", f"a tool call's arguments aren't a JSON object: {text[:100]!r}")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} isn't JSON")


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = [part.get("text", part.get("refusal")) for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise LeftOutError("not_only_text", "a message has an image, a sound or a file")
    return "".join(texts)
