"""vLLM: chat completions, responses and what token data they carry, with everything switched on."""

from tests.engines.cases.requests import (
    CAPITAL,
    CHAT,
    DICTATED,
    HI,
    LOOSE_TOOLS,
    MODEL,
    PLACE,
    TOOLS,
    WEATHER,
    assistant_call,
    chat,
    post,
    tool_result,
)
from tests.engines.recordings import Call

_NAMED = {"type": "function", "function": {"name": "get_time"}}
_TWO_CALLS = "\n".join(
    f'<tool_call>\n{{"name": "{name}", "arguments": {{"city": "Paris"}}}}\n</tool_call>'
    for name in ("get_weather", "get_time")
)
_ANSWERED = [*WEATHER, assistant_call(), tool_result("18 degrees, sunny")]
_NO_TOOLS_TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"

CASES: dict[str, list[Call]] = {
    "chat_plain": [chat(CAPITAL)],
    "chat_token_ids": [chat(CAPITAL, return_token_ids=True)],
    "chat_logprobs": [chat(CAPITAL, logprobs=True, return_token_ids=True)],
    "chat_logprobs_top_0": [chat(CAPITAL, logprobs=True, top_logprobs=0, return_token_ids=True)],
    "chat_logprobs_top_1": [chat(CAPITAL, logprobs=True, top_logprobs=1, return_token_ids=True)],
    "chat_tokens_as_token_ids": [chat(CAPITAL, logprobs=True, return_tokens_as_token_ids=True)],
    "chat_prompt_text": [chat(CAPITAL, return_prompt_text=True, max_tokens=1)],
    "chat_cut_off": [chat(CAPITAL, max_tokens=4, logprobs=True, return_token_ids=True)],
    "chat_stop_string": [chat(CAPITAL, stop=["Paris"], logprobs=True, return_token_ids=True)],
    "chat_n_2": [chat(CAPITAL, n=2, temperature=0.01, seed=1, return_token_ids=True)],
    "chat_cached_prompt": [chat(_ANSWERED, tools=TOOLS), chat(_ANSWERED, tools=TOOLS)],
    "chat_tool_call": [chat(DICTATED, tools=TOOLS, return_token_ids=True, logprobs=True)],
    "chat_tool_call_required": [
        chat(WEATHER, tools=TOOLS, tool_choice="required", return_token_ids=True, logprobs=True)
    ],
    "chat_tool_call_named": [chat(WEATHER, tools=TOOLS, tool_choice=_NAMED, return_token_ids=True)],
    "chat_tool_calls_parallel": [
        chat(
            WEATHER,
            tools=LOOSE_TOOLS,
            max_tokens=90,
            return_token_ids=True,
            structured_outputs={"choice": [_TWO_CALLS]},
        )
    ],
    "chat_tool_call_not_chosen": [chat(WEATHER, tools=TOOLS, return_token_ids=True)],
    "chat_tool_call_cut_off": [chat(DICTATED, tools=TOOLS, max_tokens=25, return_token_ids=True)],
    "chat_tool_result": [chat(_ANSWERED, tools=TOOLS, return_token_ids=True)],
    "chat_developer_role": [chat([{"role": "developer", "content": "Be brief."}, *CAPITAL], return_token_ids=True)],
    "chat_text_parts": [chat([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], return_token_ids=True)],
    "chat_json_schema": [
        chat(HI, response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE}})
    ],
    "chat_template_without_tools": [
        chat(WEATHER, tools=TOOLS, max_tokens=3, chat_template=_NO_TOOLS_TEMPLATE, return_token_ids=True)
    ],
    "chat_unknown_parameter": [chat(HI, max_tokens=1, no_such_parameter=1)],
    "chat_unknown_role": [chat([{"role": "wizard", "content": "Hi"}], max_tokens=1, return_token_ids=True)],
    "chat_without_model": [Call(path=CHAT, body={"messages": HI, "temperature": 0, "max_tokens": 1})],
    "chat_max_tokens_clamped": [chat(CAPITAL, max_tokens=1010)],
    "chat_max_completion_tokens_clamped": [
        Call(path=CHAT, body={"model": MODEL, "messages": CAPITAL, "temperature": 0, "max_completion_tokens": 1010})
    ],
    "chat_arguments_are_no_json": [
        chat(
            [*WEATHER, assistant_call(arguments='{"city": '), tool_result("invalid arguments")],
            tools=TOOLS,
            max_tokens=3,
            return_token_ids=True,
            return_prompt_text=True,
        )
    ],
    "responses_message": [post("/v1/responses", model=MODEL, input="Say hi.", temperature=0, max_output_tokens=12)],
    "responses_logprobs": [
        post(
            "/v1/responses",
            model=MODEL,
            input="Say hi.",
            temperature=0,
            max_output_tokens=3,
            include=["message.output_text.logprobs"],
            top_logprobs=1,
            enable_response_messages=True,
        )
    ],
    "responses_tool_call": [
        post(
            "/v1/responses",
            model=MODEL,
            input=WEATHER,
            temperature=0,
            max_output_tokens=60,
            tools=[{"type": "function", **tool["function"]} for tool in TOOLS],
            tool_choice="required",
            enable_response_messages=True,
        )
    ],
}
