"""`transformers serve`: what it has an answer to, and its refusals.

It gives neither token ids nor log-probabilities, forces no tool call, and knows no schema; it doesn't look at a key.
"""

from typing import Any

from tests.engines.cases.requests import (
    CALL_TEXT,
    CAPITAL,
    CHAT,
    DICTATED,
    HI,
    TOOLS,
    WEATHER,
    assistant_call,
    get,
    post,
    tool_result,
)
from tests.engines.recordings import Call
from tests.engines.setup_engines import PLAIN

_IMAGE: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]


def _chat(messages: Any, /, *, max_tokens: int = 60, **more: Any) -> Call:
    return post(CHAT, model=PLAIN, messages=messages, temperature=0, max_tokens=max_tokens, **more)


CASES: dict[str, list[Call]] = {
    "health": [get("/health")],
    "models": [get("/v1/models")],
    "chat_plain": [_chat(CAPITAL)],
    "chat_cut_off": [_chat(CAPITAL, max_tokens=4)],
    "chat_stop_string": [_chat(CAPITAL, stop=["Paris"])],
    "chat_logprobs_ignored": [_chat(CAPITAL, logprobs=True, top_logprobs=1)],
    "chat_tool_call": [_chat([{"role": "user", "content": f"Repeat this:\n{CALL_TEXT}"}], tools=TOOLS)],
    # The model leaves out the closing tag, which the server's parser can't bear.
    "error_tool_call_unclosed": [_chat(DICTATED, tools=TOOLS)],
    "chat_tool_choice_ignored": [_chat(WEATHER, tools=TOOLS, tool_choice="required")],
    "chat_tool_result": [_chat([*WEATHER, assistant_call(), tool_result("18 degrees, sunny")], tools=TOOLS)],
    "responses_message": [
        post("/v1/responses", model=PLAIN, input="Say hi.", stream=False, temperature=0, max_output_tokens=12)
    ],
    "completions_text": [
        post("/v1/completions", model=PLAIN, prompt="The capital of France is", temperature=0, max_tokens=3)
    ],
    "error_unknown_parameter": [_chat(HI, return_token_ids=True)],
    "error_unknown_model": [post(CHAT, model="nobody", messages=HI)],
    "error_unknown_route": [post("/tokenize", prompt="Hi")],
    "error_malformed_json": [Call(path=CHAT, text='{"model": "plain", "messages": [')],
    "error_without_messages": [post(CHAT, model=PLAIN)],
    "error_temperature_is_text": [post(CHAT, model=PLAIN, messages=HI, max_tokens=2, temperature="hot")],
    "chat_image_ignored": [_chat([{"role": "user", "content": _IMAGE}])],
    "error_completions_token_ids": [post("/v1/completions", model=PLAIN, prompt=[504, 3575], max_tokens=3)],
}
