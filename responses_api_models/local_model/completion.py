"""The answer as a chat completion, in the form that `nemo_gym.models.chat` turns into a Response."""

import time
from uuid import uuid4

from nemo_gym.models.chat import CallTokenData, split_thoughts
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.local_model.answering import Answer


def completion_of(answer: Answer, model: str, *, top_logprobs: int | None, data: CallTokenData | None) -> JsonObject:
    """Return a completion with one choice; a `<think>` block stays in its text.

    Args:
        answer: What the model said.
        model: Its name.
        top_logprobs: Likeliest tokens to tell at each position; None leaves the log-probabilities out.
        data: Token data of the call, put on the message.
    """
    generation = answer.generation
    message: JsonObject = {"role": "assistant", "content": answer.text}
    if answer.tool_name is not None:
        function = {"name": answer.tool_name, "arguments": answer.text}
        message["content"] = None
        message["tool_calls"] = [{"id": f"call_{uuid4().hex}", "type": "function", "function": function}]
    if data is not None:
        message.update(data.fields())
    ended = "stop" if answer.tool_name is None else "tool_calls"
    num_prompt, num_generated = len(answer.prompt.ids), len(generation.token_ids)
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "length" if generation.finish_reason == "length" else ended,
                "logprobs": _logprobs(answer, top_logprobs),
            }
        ],
        "usage": {
            "prompt_tokens": num_prompt,
            "completion_tokens": num_generated,
            "total_tokens": num_prompt + num_generated,
            "prompt_tokens_details": {"cached_tokens": generation.cached_tokens},
        },
    }


def with_thoughts_apart(completion: JsonObject, *, template_opens: bool) -> JsonObject:
    """Move the `<think>` blocks of the text to `reasoning_content`, and return the completion."""
    message = completion["choices"][0]["message"]
    if message["content"]:
        thoughts, text = split_thoughts(message["content"], template_opens=template_opens)
        if thoughts:
            message.update(reasoning_content="\n".join(thoughts), content=text)
    return completion


def _logprobs(answer: Answer, top_logprobs: int | None) -> JsonObject | None:
    if top_logprobs is None or answer.tool_name is not None:
        return None
    # The end token is sampled, but no part of the text.
    tokens = [token for token in answer.generation.text_tokens if token["token"]]
    return {"content": [{**token, "top_logprobs": token["top_logprobs"][:top_logprobs]} for token in tokens]}
