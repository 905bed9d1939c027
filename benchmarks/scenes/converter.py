"""The converter between Responses and Chat Completions: a history of 50 steps, and one answer.

The baseline is parsing the same bytes with orjson, which every server on the way does at least once.
"""

import time
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.options import Options
from benchmarks.report import Report
from nemo_gym.models.chat import to_chat_request, to_completion, to_response, to_responses_request

STEPS = 50
CALLS = 200
TOOL = {"type": "function", "name": "search", "parameters": {"type": "object"}, "strict": False}


def run(options: Options) -> Report:
    """Compare each direction with parsing what it is given."""
    report = Report(
        "converter", f"{STEPS} steps of reasoning, a tool call and its result of 1 KB; {CALLS} calls a measurement"
    )
    params = {"model": "m", "input": _history(), "tools": [TOOL], "temperature": 1.0}
    chat = {"model": "m", **to_chat_request(params).body}
    completion = _completion()
    response = to_response(completion, params)
    _compare(report, "Responses request to Chat", params, to_chat_request, options.pairs)
    _compare(report, "Chat request to Responses", chat, to_responses_request, options.pairs)
    _compare(report, "completion to Response", completion, lambda answer: to_response(answer, params), options.pairs)
    _compare(report, "Response to completion", response, to_completion, options.pairs)
    return report


def _compare(report: Report, label: str, given: Any, convert: Callable[[Any], Any], pairs: int) -> None:
    text = orjson.dumps(given)
    ours, base = [], []
    for _ in range(pairs):
        ours.append(_ms(lambda: convert(given)))
        base.append(_ms(lambda: orjson.loads(text)))
    report.compare(label, "ms", ours, base, f"parsing {len(text) / 1024:.1f} KB", "lower")


def _ms(work: Callable[[], Any]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        work()
    return (time.process_time() - began) / CALLS * 1000


def _history() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "Find out who wrote it."}]
    for step in range(STEPS):
        thought = {"type": "summary_text", "text": f"Step {step}: I look for the author's name. " * 4}
        call = {"call_id": f"call_{step}", "name": "search", "arguments": '{"query": "who wrote it"}'}
        items += [
            {"type": "reasoning", "id": f"rs_{step}", "summary": [thought]},
            {"type": "function_call", "id": f"fc_{step}", "status": "completed", **call},
            {"type": "function_call_output", "call_id": f"call_{step}", "output": "a line of a page " * 60},
        ]
    return items


def _completion() -> dict[str, Any]:
    function = {"name": "search", "arguments": '{"query": "who wrote it"}'}
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "I look for the author's name. " * 4,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    usage = {"prompt_tokens": 9000, "completion_tokens": 60, "total_tokens": 9060}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message, "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "created": 1,
        "model": "m",
        "object": "chat.completion",
        "choices": [choice],
        "usage": usage,
    }
