"""What the requests have in common: a model that is asked for the weather, with two strict tools."""

from typing import Any

from tests.engines.recordings import Call

CHAT = "/v1/chat/completions"
MODEL = "smollm2"
HI = [{"role": "user", "content": "Hi"}]
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris? Call get_weather."}]
CALL_TEXT = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
# This small model only calls a tool on its own when it is told the words.
DICTATED = [{"role": "user", "content": f"Say exactly:\n{CALL_TEXT}"}]

PLACE = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "country": {"enum": ["France", "Italy"]}},
    "required": ["city", "country"],
    "additionalProperties": False,
}


def tool(name: str, description: str) -> dict[str, Any]:
    """Return a tool with one argument, the city, in Chat form; strict, so that forced calls have valid arguments."""
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "strict": True, "parameters": parameters},
    }


TOOLS = [tool("get_weather", "Current weather of a city."), tool("get_time", "Local time of a city.")]
# Arguments of these aren't constrained, and `structured_outputs` counts for the whole answer.
LOOSE_TOOLS = [{**tool, "function": {**tool["function"], "strict": False}} for tool in TOOLS]


def assistant_call(*, arguments: str = '{"city": "Paris"}') -> dict[str, Any]:
    """Return an assistant message that calls get_weather."""
    function = {"name": "get_weather", "arguments": arguments}
    call = {"id": "call_1", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def tool_result(content: str) -> dict[str, Any]:
    """Return what the called tool answered."""
    return {"role": "tool", "tool_call_id": "call_1", "content": content}


def chat(messages: Any, /, *, max_tokens: int = 60, **more: Any) -> Call:
    """Return a chat call with temperature 0; `more` goes into its body."""
    body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": max_tokens, **more}
    return Call(path=CHAT, body=body)


def post(path: str, /, **body: Any) -> Call:
    """Return a POST of a JSON object."""
    return Call(path=path, body=body)


def get(path: str) -> Call:
    """Return a GET."""
    return Call(method="GET", path=path)
