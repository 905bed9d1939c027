"""The public face of the API types."""

import subprocess
import sys

import pytest

import nemo_gym.openai_utils as face

CONTRACT = (
    "NeMoGymResponse",
    "NeMoGymResponseCreateParamsNonStreaming",
    "NeMoGymEasyInputMessage",
    "NeMoGymMessage",
    "NeMoGymResponseInput",
    "NeMoGymResponseInputText",
    "NeMoGymResponseOutputItem",
    "NeMoGymResponseOutputMessage",
    "NeMoGymResponseOutputText",
    "NeMoGymResponseOutputRefusal",
    "NeMoGymResponseReasoningItem",
    "NeMoGymSummary",
    "NeMoGymResponseFunctionToolCall",
    "NeMoGymFunctionCallOutput",
    "NeMoGymFunctionToolParam",
    "NeMoGymResponseUsage",
    "NeMoGymResponseInputTokensDetails",
    "NeMoGymResponseOutputTokensDetails",
    "TokenIDLogProbMixin",
    "RESPONSES_TO_TRAIN",
    "NeMoGymEasyInputMessageForTraining",
    "NeMoGymMessageForTraining",
    "NeMoGymResponseOutputMessageForTraining",
    "NeMoGymResponseFunctionToolCallForTraining",
    "NeMoGymResponseReasoningItemForTraining",
    "NeMoGymChatCompletion",
    "NeMoGymChatCompletionCreateParamsNonStreaming",
    "NeMoGymChoice",
    "NeMoGymChatCompletionMessage",
    "NeMoGymChatCompletionMessageForTraining",
    "NeMoGymChatCompletionMessageToolCall",
    "NeMoGymFunction",
    "NeMoGymFunctionDefinition",
    "NeMoGymChatCompletionToolParam",
    "NeMoGymChatCompletionMessageParam",
    "NeMoGymChatCompletionSystemMessageParam",
    "NeMoGymChatCompletionDeveloperMessageParam",
    "NeMoGymChatCompletionUserMessageParam",
    "NeMoGymChatCompletionAssistantMessageParam",
    "NeMoGymChatCompletionAssistantMessageForTrainingParam",
    "NeMoGymChatCompletionToolMessageParam",
    "NeMoGymChatCompletionMessageToolCallParam",
    "NeMoGymChatCompletionMessageToolCallFunctionParam",
    "NeMoGymChatCompletionContentPartTextParam",
)


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_names_exist(name):
    assert hasattr(face, name)
    assert name in face.__all__


def test_importing_the_wire_types_loads_neither_openai_nor_a_server_library():
    modules = ", ".join(
        f"nemo_gym.wire.openai.{name}" for name in ("responses_params", "chat_params", "chat", "responses")
    )
    code = (
        f"import sys, {modules}; print({{'openai', 'fastapi', 'aiohttp', 'httpx', 'omegaconf'}} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "set()"
