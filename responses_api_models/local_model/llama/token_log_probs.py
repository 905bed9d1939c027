"""The log-probability of each sampled token, from what llama.cpp reports.

It reports none for a token after which the text so far ends inside a character, and none for the tokens of a stop text.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from nemo_gym.models.chat import CallTokenData
from nemo_gym.server_utils import rollout_error

_NO_PROBABILITY = -1e30
"""llama.cpp writes the lowest float for a probability that is 0 in its arithmetic."""


def aligned_log_probs(token_ids: Sequence[int], reported: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Return what was reported for each token; None where nothing was, or where it isn't certain for which one.

    Args:
        token_ids: All sampled tokens, shape (num_tokens,).
        reported: `id` and `logprob` of some of them, in the same order.
    """
    first = _places(token_ids, [entry["id"] for entry in reported])
    last = _places(token_ids[::-1], [entry["id"] for entry in reversed(reported)])[::-1]
    log_probs: list[float | None] = [None] * len(token_ids)
    if len(first) < len(reported):
        return log_probs  # reported are tokens that weren't sampled
    for entry, earliest, latest_from_end in zip(reported, first, last, strict=True):
        if earliest == len(token_ids) - 1 - latest_from_end:
            log_probs[earliest] = entry["logprob"]
    return log_probs


def call_token_data(
    prompt_ids: list[int], token_ids: list[int], log_probs: Sequence[float | None], *, server: str
) -> CallTokenData:
    """Return the token data of a call.

    Raises:
        RolloutError: `token_data_invalid`: nothing was sampled, or there isn't exactly one finite log-probability <= 0
            for each token.
    """
    problem = _problem(token_ids, log_probs)
    if problem is not None:
        reason = (
            f"llama.cpp gave no sound token data: {problem}; try again, or set return_token_id_information to false"
        )
        raise rollout_error("token_data_invalid", reason, server=server)
    return CallTokenData(prompt_ids, token_ids, [value for value in log_probs if value is not None])


def _problem(token_ids: Sequence[int], log_probs: Sequence[float | None]) -> str | None:
    if not token_ids:
        return "no token was sampled"
    if len(log_probs) != len(token_ids):
        return f"{len(log_probs)} log-probabilities for {len(token_ids)} tokens"
    for index, value in enumerate(log_probs):
        if not isinstance(value, float | int) or not isfinite(value) or not _NO_PROBABILITY < value <= 0:
            return f"the log-probability of token {index} (id {token_ids[index]}) is {value}"
    return None


def _places(token_ids: Sequence[int], some: Sequence[int]) -> list[int]:
    """Return the earliest places of `some` in `token_ids`, in order; shorter where they don't fit."""
    places: list[int] = []
    for index, token_id in enumerate(token_ids):
        if len(places) < len(some) and some[len(places)] == token_id:
            places.append(index)
    return places
