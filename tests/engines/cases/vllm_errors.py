"""vLLM: refusals, with everything switched on; and a server with a reasoning parser and otherwise the defaults."""

from tests.engines.cases.requests import CAPITAL, CHAT, HI, MODEL, TOOLS, WEATHER, chat, get, post
from tests.engines.cases.vllm_tokens import GENERATE
from tests.engines.recordings import Call

_LONG = [{"role": "user", "content": "a " * 1020}]
_IMAGE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
_NONSENSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
_WHO = [{"role": "user", "content": "Who am I?"}]

CASES: dict[str, list[Call]] = {
    "error_prompt_too_long": [chat(_LONG)],
    "error_max_tokens_above_context": [chat(HI, max_tokens=2000)],
    "error_max_tokens_zero": [chat(HI, max_tokens=0)],
    "error_unknown_model": [chat(HI, model="nobody")],
    "error_wrong_key": [chat(_WHO).model_copy(update={"key": "wrong"})],
    "error_no_key": [chat(_WHO).model_copy(update={"key": "none"}), get("/health").model_copy(update={"key": "none"})],
    "error_unknown_route": [post("/v1/nowhere")],
    "error_wrong_method": [get(CHAT)],
    "error_malformed_json": [Call(path=CHAT, text='{"model": "smollm2", "messages": [')],
    "error_body_is_a_list": [Call(path=CHAT, body=[])],
    "error_without_messages": [post(CHAT, model=MODEL)],
    "error_no_message": [chat([])],
    "error_temperature_negative": [chat(HI, temperature=-1)],
    "error_temperature_is_text": [chat(HI, temperature="hot")],
    "error_top_logprobs_without_logprobs": [chat(HI, top_logprobs=1)],
    "error_top_logprobs_too_many": [chat(HI, logprobs=True, top_logprobs=30)],
    "error_greedy_n_2": [chat(HI, n=2)],
    "error_image": [chat([{"role": "user", "content": _IMAGE}])],
    "error_content_part_of_responses": [chat([{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}])],
    "error_tool_without_function": [chat(HI, tools=[{"type": "function"}])],
    "error_required_without_tools": [chat(HI, tool_choice="required")],
    "error_unknown_tool_named": [
        chat(HI, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "get_rich"}})
    ],
    "error_schema": [chat(HI, response_format=_NONSENSE_FORMAT)],
    "error_template_raises": [chat(HI, chat_template="{{ raise_exception('roles must alternate') }}")],
    "error_generate_without_ids": [post(GENERATE, token_ids=[], sampling_params={"max_tokens": 1})],
    "error_generate_unknown_id": [post(GENERATE, token_ids=[999_999], sampling_params={"max_tokens": 1})],
    "error_generate_too_long": [post(GENERATE, token_ids=[28] * 1024, sampling_params={"max_tokens": 1})],
    "error_completions_too_long": [post("/v1/completions", model=MODEL, prompt=[28] * 1024, max_tokens=1)],
    "error_tokenize_nothing": [post("/tokenize")],
}

# Id 4 is </think>: see build_model.py.
REASONING_CASES: dict[str, list[Call]] = {
    # The bias ends the reasoning after a sentence; from there on the choice says what may follow.
    "reasoning": [
        chat(
            CAPITAL,
            logit_bias={"4": 18},
            structured_outputs={"choice": ["It is Paris."]},
            return_token_ids=True,
            logprobs=True,
        )
    ],
    "reasoning_not_ended": [chat(CAPITAL, return_token_ids=True)],
    "reasoning_sent_back": [
        chat(
            [*CAPITAL, {"role": "assistant", "content": "Paris.", "reasoning_content": "Easy."}, *HI],
            max_tokens=2,
            return_token_ids=True,
            return_prompt_text=True,
        ),
        chat(
            [*CAPITAL, {"role": "assistant", "content": "Paris.", "reasoning": "Easy."}, *HI],
            max_tokens=2,
            return_token_ids=True,
            return_prompt_text=True,
            chat_template_kwargs={"keep_reasoning": False},
        ),
    ],
    "defaults_error_auto_tool_choice": [chat(WEATHER, tools=TOOLS)],
    "defaults_error_generate": [post(GENERATE, token_ids=[28], sampling_params={"max_tokens": 1})],
    "defaults_error_template_in_request": [chat(HI, chat_template="{{ messages[0].content }}")],
    "defaults_error_pause": [post("/pause")],
    "defaults_usage": [chat(CAPITAL)],
}
