"""Token data of model calls, beside the conversation: read off earlier items, and attached to new ones.

Reading the arrays out of an engine's answer is the model server's work: engines differ in where they put them. It hands
them to `attach_token_data`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nemo_gym.wire.failure import rollout_error

TOKEN_FIELDS = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")


@dataclass(frozen=True, slots=True)
class CallTokenData:
    """What an engine was given and what it sampled in one call; the lists are carried by reference.

    Attributes:
        prompt_token_ids: Shape (num_prompt_tokens,).
        generation_token_ids: Shape (num_generated_tokens,).
        generation_log_probs: Natural logarithms, shape (num_generated_tokens,); None when the engine gave none.
    """

    prompt_token_ids: list[int]
    generation_token_ids: list[int]
    generation_log_probs: list[float] | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields as an item or a message carries them; a missing array has no key."""
        fields: dict[str, Any] = {
            "prompt_token_ids": self.prompt_token_ids,
            "generation_token_ids": self.generation_token_ids,
        }
        if self.generation_log_probs is not None:
            fields["generation_log_probs"] = self.generation_log_probs
        return fields


@dataclass(frozen=True, slots=True)
class MessageTokenData:
    """Token data of the call that made the chat message at `message_index`.

    `message_index` is None when the message isn't sent: all the call made was reasoning, which the options drop.
    """

    message_index: int | None
    data: CallTokenData


def token_data_of(carrier: dict[str, Any]) -> CallTokenData | None:
    """Return the token data that an item or a message carries; None without both lists of ids."""
    prompt, generated = carrier.get("prompt_token_ids"), carrier.get("generation_token_ids")
    if not isinstance(prompt, list) or not isinstance(generated, list):
        return None
    log_probs = carrier.get("generation_log_probs")
    return CallTokenData(prompt, generated, log_probs if isinstance(log_probs, list) else None)


def attach_token_data(output: Sequence[dict[str, Any]], data: CallTokenData) -> None:
    """Put the token data of one model call on the last item of `output`, which must be what that call generated.

    Readers expect it there and only there: repeating it on each item would multiply the size of a rollout.

    Raises:
        RolloutError: `token_data_invalid`, when `output` is empty.
    """
    if not output:
        raise rollout_error("token_data_invalid", "the model call made no item that could carry its token data")
    output[-1].update(data.fields())
