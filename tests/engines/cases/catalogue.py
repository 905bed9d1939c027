"""Which requests are sent to which profile."""

from tests.engines.cases import transformers_serve, vllm_chat, vllm_errors, vllm_tokens
from tests.engines.recordings import Call

CASES_BY_PROFILE: dict[str, dict[str, list[Call]]] = {
    "vllm_open": vllm_chat.CASES | vllm_tokens.CASES | vllm_errors.CASES,
    "vllm_reasoning": vllm_errors.REASONING_CASES,
    "transformers_serve": transformers_serve.CASES,
}
