"""The request of the Responses API: create parameters, without streaming.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from typing import Annotated, Literal, Required

from pydantic import AfterValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.open_model import NonStreamingParams
from nemo_gym.wire.openai.responses_item_kinds import TextOrItems


@with_config(ConfigDict(extra="allow"))
class NeMoGymFunctionToolParam(TypedDict, total=False):
    """A function the model may call; `parameters` is the JSON schema of its arguments, None means no arguments."""

    type: Required[Literal["function"]]
    name: Required[str]
    parameters: Required[JsonObject | None]
    strict: Required[bool | None]
    description: str | None


def check_tool(tool: JsonObject) -> JsonObject:
    """Check what the framework itself relies on in a declared tool: its type and, of a function, name and schema.

    Args:
        tool: A function tool (`NeMoGymFunctionToolParam`) or any other kind the API has. It is returned as it is, key
            order included, because chat templates print it into the prompt.

    Raises:
        ValueError: No `type`; or a function without a name, or whose `parameters` aren't an object.
    """
    if not isinstance(tool.get("type"), str):
        raise ValueError("a tool is an object with a `type`")
    if tool["type"] != "function":
        return tool
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        raise ValueError("a function tool needs a `name`")
    if not isinstance(tool.get("parameters"), dict | None):
        raise ValueError(f"`parameters` of function tool {tool['name']!r} should be a JSON schema object")
    return tool


ToolParam = Annotated[JsonObject, AfterValidator(check_tool)]


class NeMoGymResponseCreateParamsNonStreaming(NonStreamingParams):
    """What a model is asked: the conversation so far, the tools it may use, and the sampling settings.

    `input` is the user's text or a list of items. None means: as the endpoint has it by default. Objects are plain
    dicts as the API takes them.

    Attributes:
        max_output_tokens: Limit of generated tokens, reasoning included, >= 1.
        temperature: 0 (always the likeliest token) to 2.
        top_p: Probability mass that sampling draws from, 0 to 1.
        top_logprobs: Number of likeliest tokens reported at each position, 0 to 20.
    """

    input: TextOrItems
    tools: list[ToolParam] = Field(default_factory=list)
    tool_choice: str | JsonObject = "auto"
    parallel_tool_calls: bool = True

    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    metadata: JsonObject | None = None

    background: bool | None = None
    conversation: str | JsonObject | None = None
    include: list[str] | None = None
    max_tool_calls: int | None = None
    previous_response_id: str | None = None
    prompt: JsonObject | None = None
    prompt_cache_key: str | None = None
    reasoning: JsonObject | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    text: JsonObject | None = None
    truncation: str | None = None
    user: str | None = None
