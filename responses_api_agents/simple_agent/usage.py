"""Token usage over several model calls."""

from nemo_gym.openai_utils import NeMoGymResponseUsage


def add_usage(total: NeMoGymResponseUsage | None, more: NeMoGymResponseUsage | None) -> NeMoGymResponseUsage | None:
    """Return the sum of two usages; None counts as nothing."""
    if total is None or more is None:
        return total or more
    return NeMoGymResponseUsage.model_validate(
        {
            "input_tokens": total.input_tokens + more.input_tokens,
            "input_tokens_details": {
                "cached_tokens": total.input_tokens_details.cached_tokens + more.input_tokens_details.cached_tokens,
                "cache_write_tokens": total.input_tokens_details.cache_write_tokens
                + more.input_tokens_details.cache_write_tokens,
            },
            "output_tokens": total.output_tokens + more.output_tokens,
            "output_tokens_details": {
                "reasoning_tokens": total.output_tokens_details.reasoning_tokens
                + more.output_tokens_details.reasoning_tokens
            },
            "total_tokens": total.total_tokens + more.total_tokens,
        }
    )
