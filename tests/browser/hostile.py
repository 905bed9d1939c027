"""Rollouts that a policy could write to harm whoever looks at them."""

from typing import Any

from benchmarks.measuring.made_rows import placed, task_row

CALLED = "globalThis.__called = (globalThis.__called ?? 0) + 1"

MARKUP = (
    f"<script>{CALLED}</script>",
    f"<img src=x onerror='{CALLED}'>",
    f"<svg onload='{CALLED}'><script>{CALLED}</script></svg>",
    f"<svg><a xlink:href='javascript:{CALLED}'><text y=20>x</text></a></svg>",
    f"<iframe srcdoc='<script>parent.{CALLED}</script>'></iframe>",
    f"<a href='javascript:{CALLED}'>link</a>",
    f"[click](javascript:{CALLED})",
    f"[click](JaVaScRiPt&colon;{CALLED})",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    f"![x](javascript:{CALLED})",
    '![x](http://127.0.0.1:9/pixel.png "onerror=1")',
    f"<details open ontoggle='{CALLED}'>x</details>",
    f"<body onload='{CALLED}'>",
    "<style>*{display:none}</style>",
    "<base href='http://127.0.0.1:9/'>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<form action='http://127.0.0.1:9/'><button>Next</button></form>",
    f"<math><mtext><table><mglyph><style><img src=x onerror='{CALLED}'>",
    f"</pre></article></main><script>{CALLED}</script>",
    f"```html\n<script>{CALLED}</script>\n```",
    f"`<img src=x onerror='{CALLED}'>`",
    f"| a |\n| --- |\n| <img src=x onerror='{CALLED}'> |",
    f"<!--><img src=x onerror='{CALLED}'>-->",
    f"\\u003cscript\\u003e{CALLED}\\u003c/script\\u003e",
    f"]]><script>{CALLED}</script>",
)
SHAPES = (
    "\u202ereversed\u202c \u2066isolated\u2069 \u200bzero\ufeffwidth \u200frtl",
    "".join(map(chr, range(32))) + "\x7f\x85",
    "Z" + "\u0336\u0337\u0338" * 2_000,
    "[" * 20_000,
    "> " * 5_000 + "deep quote",
    "*a **b " * 4_000,
    "- " * 3_000 + "list",
    "a" * 100_000,
    "| a " * 2_000 + "|\n" + "| - " * 2_000 + "|",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 500,
)


def said(text: str) -> list[dict[str, Any]]:
    """Return a text in every place where a policy can put one."""
    told = [{"token": text[:500], "logprob": -1.0}, {"token": text[-500:], "logprob": text[:500]}]
    return [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": text}]},
        {"type": "function_call", "id": "f", "call_id": text[:500], "name": text[:500], "arguments": text},
        {"type": "function_call_output", "call_id": text[:500], "output": text},
        {"type": text[:500], "id": "other", "content": text},
        {"type": "message", "role": text[:500], "content": text},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "logprobs": told}]},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": text}]},
    ]


def hostile_rows() -> list[dict[str, Any]]:
    """Return 39 rollouts, each of another kind; the line below is the fortieth."""
    outputs = [said(text) for text in (*MARKUP, *SHAPES)]
    outputs.append([{"type": "message", "role": "assistant", "content": "x" * 10_000_000}])
    outputs.append([part for number in range(5_000) for part in _call(number)])
    outputs.append([{"type": "function_call", "name": "deep", "call_id": "c", "arguments": "[" * 9_000 + "]" * 9_000}])
    odd = [None, 7, {"type": "x", "image_url": {"url": "data:image/svg+xml,<svg>"}}]
    outputs.append([{"type": "message", "content": odd}, 7, None])
    rows = []
    for task, output in enumerate(outputs):
        text = (*MARKUP, *SHAPES)[task] if task < len(MARKUP) + len(SHAPES) else "plain"
        extra = {"reward": 0.0, "reward_parts": {text[:200]: 0.5}, text[:200]: text[:5_000], "failure_kind": text[:200]}
        response = {"id": "r", "model": text[:200], "output": output}
        rows.append(placed({**task_row(task), "response": response, "mask_sample": True, **extra}, task, 0))
    return rows


def too_deep_line(task: int) -> bytes:
    """Return a line that no JSON parser of ours opens."""
    return b'{"_ng_task_index": %d, "_ng_rollout_index": 0, "reward": 0, "x": %s}' % (task, b"[" * 3_000 + b"]" * 3_000)


def _call(number: int) -> list[dict[str, Any]]:
    call_id = f"call_{number}"
    return [
        {"type": "function_call", "call_id": call_id, "name": "step", "arguments": f'{{"number": {number}}}'},
        {"type": "function_call_output", "call_id": call_id, "output": "done"},
    ]
