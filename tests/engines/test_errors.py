"""What engines were recorded to refuse gets the failure kind that says what to do about it."""

from typing import Any

import orjson
import pytest

from nemo_gym.wire.http_errors import classify_model_error
from tests.engines.recordings import load

VLLM, TRANSFORMERS, SGLANG, AZURE = "vllm_0_32_0", "transformers_5_19_0", "by_format/sglang", "by_format/azure"
OVERFLOW, BAD, AUTH, BUSY = "context_length_exceeded", "model_bad_request", "model_auth", "model_rate_limited"
KINDS = {
    (VLLM, "error_prompt_too_long"): OVERFLOW,
    (VLLM, "error_generate_too_long"): OVERFLOW,
    (VLLM, "error_completions_too_long"): BAD,  # it only says that no token is left to generate
    (VLLM, "error_max_tokens_above_context"): BAD,
    (VLLM, "error_wrong_key"): AUTH,
    (VLLM, "error_unknown_model"): BAD,
    (VLLM, "error_unknown_route"): BAD,
    (VLLM, "error_schema"): BAD,
    (VLLM, "error_template_raises"): BAD,
    (VLLM, "defaults_error_auto_tool_choice"): BAD,
    (TRANSFORMERS, "error_unknown_model"): BAD,
    (TRANSFORMERS, "error_without_messages"): "model_unavailable",  # a 500, whatever the request
    (SGLANG, "error_context_length"): OVERFLOW,
    (AZURE, "error_context_length"): OVERFLOW,
    (AZURE, "error_wrong_key"): AUTH,
    (AZURE, "error_rate_limit"): BUSY,
    (AZURE, "error_prompt_filtered"): "model_content_filter",
    (AZURE, "error_unknown_deployment"): BAD,
}


@pytest.mark.parametrize(("engine", "name"), list(KINDS), ids=lambda part: part)
def test_a_recorded_refusal_has_its_kind_and_the_engines_own_words(engine: str, name: str) -> None:
    answer: Any = load(engine)[name].exchanges[-1].answer
    body = answer.body.encode() if isinstance(answer.body, str) else orjson.dumps(answer.body)
    kind, message = classify_model_error(answer.status, body)
    assert kind == KINDS[engine, name]
    assert message
