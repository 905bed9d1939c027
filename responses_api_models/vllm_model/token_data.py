"""Token data as engines write it in their answers, checked: what isn't there is never made up."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from msgspec import Raw

from nemo_gym.models.chat import CallTokenData
from nemo_gym.server_utils import RolloutError, rollout_error
from nemo_gym.wire.json_object import JsonObject


def checked_token_data(
    server: str,
    *,
    prompt: Any,
    generated: Any,
    log_probs: Sequence[Any] | None,
    weight_versions: Any = None,
) -> CallTokenData:
    """Return the token data of a call.

    Args:
        server: The model server, for errors.
        prompt: Ids the engine was given; `Raw` is ours, and taken as it is.
        generated: Ids the engine sampled.
        log_probs: The natural logarithm of each one's probability.
        weight_versions: As in `CallTokenData`.

    Raises:
        RolloutError: `token_data_invalid`: something is missing, lengths differ, or a number is impossible.
    """
    if not isinstance(prompt, Raw) and not _are_ids(prompt):
        raise invalid(server, f"prompt_token_ids should be a list of ids, not {_shown(prompt)}")
    if not _are_ids(generated):
        raise invalid(server, f"generation_token_ids should be a list of ids, not {_shown(generated)}")
    if log_probs is None:
        raise invalid(server, "the engine gave no log-probabilities, which were asked for")
    if len(log_probs) != len(generated):
        raise invalid(server, f"{len(generated)} tokens were sampled, and there are {len(log_probs)} log-probabilities")
    for index, value in enumerate(log_probs):
        if type(value) not in (int, float) or not isfinite(value) or value > 0:
            raise invalid(server, f"the log-probability of sampled token {index} is {value!r}")
    versions = weight_versions if isinstance(weight_versions, list) else None
    return CallTokenData(prompt, generated, list(log_probs), versions)


def chat_token_data(server: str, completion: JsonObject) -> CallTokenData:
    """Return the token data of a chat completion that was asked for with `return_token_ids` and `logprobs`.

    Raises:
        RolloutError: As `checked_token_data` does.
    """
    choice = _first_choice(completion)
    ids = choice.get("token_ids")
    return checked_token_data(
        server,
        prompt=completion.get("prompt_token_ids"),
        generated=ids,
        log_probs=log_probs_of(choice),
        weight_versions=one_version(completion.get("weight_version"), ids),
    )


def one_version(version: Any, generated: Any) -> list[JsonObject] | None:
    """Return the weight versions of an answer that names one for all its tokens; None when it names none."""
    if version is None or not isinstance(generated, list):
        return None
    return [{"version": str(version), "start": 0, "end": len(generated)}]


def log_probs_of(choice: JsonObject) -> list[Any] | None:
    """Return the log-probability of each sampled token in a choice of chat or generate; None without any."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return None
    return [entry.get("logprob") if isinstance(entry, dict) else None for entry in content]


def invalid(server: str, what: str) -> RolloutError:
    """Return the failure for token data that can't be used."""
    return rollout_error("token_data_invalid", f"{server}: {what}", server=server)


def _first_choice(completion: JsonObject) -> JsonObject:
    choices = completion.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _are_ids(ids: Any) -> bool:
    return isinstance(ids, list) and all(type(number) is int and number >= 0 for number in ids)


def _shown(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__} with something else"
