"""What a chat request asks for, beside its messages."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from responses_api_models.local_model.answering import Wanted
from responses_api_models.local_model.llama.generation import RefusedRequestError, Sampling
from responses_api_models.local_model.tools import declared_tools, tool_choice


def wanted_of(body: Mapping[str, Any], defaults: Sampling, *, token_data: bool, copy_bias: float) -> Wanted:
    """Return what the answer should be like.

    Args:
        body: Chat create parameters; a value that is None counts as absent.
        defaults: For a request that names no sampling.
        token_data: See `Wanted`; `copy_bias` too.

    Raises:
        RefusedRequestError: More than one answer, a tool choice that fits no tool, an unknown format of the text.
    """
    if body.get("n") not in (None, 1):
        raise RefusedRequestError(f"n is {body['n']}: local_model gives one answer for each request")
    stop = body.get("stop") or ()
    given = {name: body[name] for name in ("temperature", "top_p", "seed") if body.get(name) is not None}
    max_tokens = body.get("max_completion_tokens") or body.get("max_tokens") or defaults.max_tokens
    return Wanted(
        choice=tool_choice(declared_tools(body.get("tools")), body.get("tool_choice")),
        sampling=replace(
            defaults, **given, max_tokens=max_tokens, stop=[stop] if isinstance(stop, str) else list(stop)
        ),
        json_schema=_json_schema(body.get("response_format")),
        num_top_log_probs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        token_data=token_data,
        copy_bias=copy_bias,
    )


def _json_schema(wanted: Any) -> Mapping[str, Any] | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    schema = wanted["json_schema"].get("schema") if kind == "json_schema" and wanted.get("json_schema") else None
    if not isinstance(schema, dict):
        raise RefusedRequestError(
            "the text's format should be of type text, json_object, or json_schema with an object as its `schema`"
        )
    return schema
