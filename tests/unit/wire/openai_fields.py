"""The fields of the openai package's objects that we declare classes for; as a program, dumped as JSON.

Needs nothing but the openai package, so that it runs beside any version of it:

    uv run --no-project --with openai==2.6.1 tests/unit/wire/openai_fields.py > tests/unit/wire/openai_2_6_1_fields.json
"""

import importlib
import json
import sys
from typing import Required, get_origin

from typing_extensions import get_type_hints

_CHAT = "openai.types.chat."
_RESPONSES = "openai.types.responses."

# Our class, and the package's class of the same object.
OBJECTS: dict[str, str] = {
    "NeMoGymResponse": _RESPONSES + "response.Response",
    "NeMoGymIncompleteDetails": _RESPONSES + "response.IncompleteDetails",
    "NeMoGymResponseError": _RESPONSES + "response_error.ResponseError",
    "NeMoGymResponseUsage": _RESPONSES + "response_usage.ResponseUsage",
    "NeMoGymResponseInputTokensDetails": _RESPONSES + "response_usage.InputTokensDetails",
    "NeMoGymResponseOutputTokensDetails": _RESPONSES + "response_usage.OutputTokensDetails",
    "NeMoGymResponseCreateParamsNonStreaming": _RESPONSES + "response_create_params.ResponseCreateParamsNonStreaming",
    "NeMoGymFunctionToolParam": _RESPONSES + "function_tool_param.FunctionToolParam",
    "NeMoGymEasyInputMessage": _RESPONSES + "easy_input_message.EasyInputMessage",
    "NeMoGymMessage": _RESPONSES + "response_input_item.Message",
    "NeMoGymFunctionCallOutput": _RESPONSES + "response_input_item.FunctionCallOutput",
    "NeMoGymResponseInputText": _RESPONSES + "response_input_text.ResponseInputText",
    "NeMoGymResponseOutputMessage": _RESPONSES + "response_output_message.ResponseOutputMessage",
    "NeMoGymResponseOutputText": _RESPONSES + "response_output_text.ResponseOutputText",
    "NeMoGymResponseOutputRefusal": _RESPONSES + "response_output_refusal.ResponseOutputRefusal",
    "NeMoGymResponseFunctionToolCall": _RESPONSES + "response_function_tool_call.ResponseFunctionToolCall",
    "NeMoGymResponseReasoningItem": _RESPONSES + "response_reasoning_item.ResponseReasoningItem",
    "NeMoGymSummary": _RESPONSES + "response_reasoning_item.Summary",
    "NeMoGymReasoningText": _RESPONSES + "response_reasoning_item.Content",
    "NeMoGymChatCompletion": _CHAT + "chat_completion.ChatCompletion",
    "NeMoGymChoice": _CHAT + "chat_completion.Choice",
    "NeMoGymChatCompletionMessage": _CHAT + "chat_completion_message.ChatCompletionMessage",
    "NeMoGymChatCompletionMessageToolCall": _CHAT
    + "chat_completion_message_function_tool_call.ChatCompletionMessageFunctionToolCall",
    "NeMoGymFunction": _CHAT + "chat_completion_message_function_tool_call.Function",
    "NeMoGymCompletionUsage": "openai.types.completion_usage.CompletionUsage",
    "NeMoGymChatCompletionCreateParamsNonStreaming": _CHAT
    + "completion_create_params.CompletionCreateParamsNonStreaming",
    "NeMoGymChatCompletionToolParam": _CHAT + "chat_completion_function_tool_param.ChatCompletionFunctionToolParam",
    "NeMoGymFunctionDefinition": "openai.types.shared_params.function_definition.FunctionDefinition",
    "NeMoGymChatCompletionContentPartTextParam": _CHAT
    + "chat_completion_content_part_text_param.ChatCompletionContentPartTextParam",
    "NeMoGymChatCompletionSystemMessageParam": _CHAT
    + "chat_completion_system_message_param.ChatCompletionSystemMessageParam",
    "NeMoGymChatCompletionDeveloperMessageParam": _CHAT
    + "chat_completion_developer_message_param.ChatCompletionDeveloperMessageParam",
    "NeMoGymChatCompletionUserMessageParam": _CHAT
    + "chat_completion_user_message_param.ChatCompletionUserMessageParam",
    "NeMoGymChatCompletionAssistantMessageParam": _CHAT
    + "chat_completion_assistant_message_param.ChatCompletionAssistantMessageParam",
    "NeMoGymChatCompletionToolMessageParam": _CHAT
    + "chat_completion_tool_message_param.ChatCompletionToolMessageParam",
    "NeMoGymChatCompletionMessageToolCallParam": _CHAT
    + "chat_completion_message_function_tool_call_param.ChatCompletionMessageFunctionToolCallParam",
    "NeMoGymChatCompletionMessageToolCallFunctionParam": _CHAT
    + "chat_completion_message_function_tool_call_param.Function",
}


def fields_of(cls: type) -> dict[str, bool]:
    """Return whether each field of a pydantic model or a typed dictionary is required, by name."""
    if hasattr(cls, "model_fields"):
        return {name: field.is_required() for name, field in sorted(cls.model_fields.items())}
    # Not `__required_keys__`: it doesn't see through annotations that are text.
    total = cls.__total__  # type: ignore[attr-defined]
    hints = get_type_hints(cls, include_extras=True)
    return {name: total or get_origin(hint) is Required for name, hint in sorted(hints.items())}


def installed_fields() -> dict[str, dict[str, bool]]:
    """Return the fields of every object in the openai package that is installed, by the name of our class."""
    found = {}
    for ours, path in OBJECTS.items():
        module, _, name = path.rpartition(".")
        found[ours] = fields_of(getattr(importlib.import_module(module), name))
    return found


if __name__ == "__main__":
    lines = (f'"{ours}": {json.dumps(fields)}' for ours, fields in installed_fields().items())
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")
