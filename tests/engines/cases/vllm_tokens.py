"""vLLM: routes that take or give token ids, and those a trainer uses between training steps."""

from tests.engines.cases.requests import (
    CHAT,
    DICTATED,
    HI,
    MODEL,
    TOOLS,
    WEATHER,
    assistant_call,
    chat,
    get,
    post,
    tool_result,
)
from tests.engines.recordings import Call

GENERATE = "/inference/v1/generate"
# <|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n
_CAPITAL_IDS = [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198]
_ANSWERED = [*WEATHER, assistant_call(), tool_result("18 degrees, sunny")]
# <tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call><|im_end|>
_CALL_TEXT = [44, 19324, 79, 4350, 46, 198, 39428, 1245, 1799, 476, 726, 79, 29624, 1002, 476, 24370, 1799, 9583]
_CALL_IDS = [*_CALL_TEXT, 20721, 1799, 476, 38634, 18, 17859, 198, 9617, 19324, 79, 4350, 46, 2]


def _generate(*, max_tokens: int = 12, sampling: dict[str, object] | None = None, **more: object) -> Call:
    sampling = {"temperature": 0, "max_tokens": max_tokens, **(sampling or {})}
    return post(GENERATE, model=MODEL, token_ids=_CAPITAL_IDS, sampling_params=sampling, **more)


CASES: dict[str, list[Call]] = {
    "generate": [_generate()],
    "generate_logprobs": [_generate(sampling={"logprobs": 0})],
    "generate_logprobs_top_1": [_generate(sampling={"logprobs": 1})],
    "generate_text": [_generate(sampling={"logprobs": 0}, output_mode="text", return_token_ids=True)],
    "generate_cut_off": [_generate(max_tokens=3)],
    "completions_token_ids": [
        post(
            "/v1/completions",
            model=MODEL,
            prompt=_CAPITAL_IDS,
            temperature=0,
            max_tokens=12,
            logprobs=0,
            return_token_ids=True,
            return_tokens_as_token_ids=True,
        )
    ],
    "completions_text": [
        post("/v1/completions", model=MODEL, prompt="The capital of France is", temperature=0, max_tokens=3)
    ],
    "render": [Call(path=f"{CHAT}/render", body=chat(WEATHER, tools=TOOLS).body)],
    "derender_tool_call": [
        post(
            f"{CHAT}/derender",
            model=MODEL,
            generate_response={
                "request_id": "one",
                "choices": [{"index": 0, "token_ids": _CALL_IDS, "finish_reason": "stop"}],
            },
            prompt_token_ids=_CAPITAL_IDS,
            chat_request=chat(DICTATED, tools=TOOLS).body,
        )
    ],
    "tokenize_messages": [
        post("/tokenize", model=MODEL, messages=_ANSWERED, tools=TOOLS),
        post("/tokenize", model=MODEL, messages=_ANSWERED, tools=TOOLS, add_generation_prompt=False),
    ],
    "tokenize_text": [post("/tokenize", prompt="Hi there", return_token_strs=True)],
    "detokenize": [post("/detokenize", tokens=_CALL_IDS)],
    "models": [get("/v1/models")],
    "health": [get("/health")],
    "version": [get("/version")],
    "pause": [post("/pause?mode=keep"), get("/is_paused"), post("/resume"), get("/is_paused")],
    "pause_unknown_mode": [post("/pause?mode=later")],
    "sleep": [post("/sleep?level=1"), get("/is_sleeping"), post("/wake_up"), get("/is_sleeping")],
    "weight_version": [
        get("/weight_info"),
        post("/update_weight_version", new_version="7"),
        get("/weight_info"),
        _generate(max_tokens=2),
        chat(HI, max_tokens=1),
        post("/update_weight_version", new_version="default"),
    ],
    "update_weights_not_configured": [post("/start_weight_update"), post("/update_weights", update_info={})],
    "abort_requests": [post("/abort_requests")],
    "reset_prefix_cache": [post("/reset_prefix_cache")],
}
