"""Token data of model calls, beside the conversation: read off earlier items, and attached to new ones.

Reading the arrays out of an engine's answer is the model server's work: engines differ in where they put them. It hands
them to `attach_token_data`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Raw

from nemo_gym.wire.failure import rollout_error
from nemo_gym.wire.json_object import JsonObject

TOKEN_FIELDS = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")
CALL_FIELDS = frozenset({*TOKEN_FIELDS, "weight_versions"})
"""What is recorded of a model call on its last item. No engine is sent it as part of the conversation."""


@dataclass(frozen=True, slots=True)
class CallTokenData:
    """What an engine was given and what it sampled in one call; lists are carried by reference, or as JSON text.

    Attributes:
        prompt_token_ids: Shape (num_prompt_tokens,).
        generation_token_ids: Shape (num_generated_tokens,).
        generation_log_probs: Natural logarithms, shape (num_generated_tokens,); None when the engine gave none.
        weight_versions: The weights that sampled the tokens, as the engine says it: `{"version", "start", "end"}` for
            each run of tokens, `end` excluded; None when it doesn't.
    """

    prompt_token_ids: list[int] | Raw
    generation_token_ids: list[int] | Raw
    generation_log_probs: list[float] | Raw | None = None
    weight_versions: list[JsonObject] | None = None

    def fields(self) -> JsonObject:
        """Return the fields as an item or a message carries them; a missing array has no key."""
        fields: JsonObject = {
            "prompt_token_ids": self.prompt_token_ids,
            "generation_token_ids": self.generation_token_ids,
        }
        if self.generation_log_probs is not None:
            fields["generation_log_probs"] = self.generation_log_probs
        if self.weight_versions is not None:
            fields["weight_versions"] = self.weight_versions
        return fields


@dataclass(frozen=True, slots=True)
class MessageTokenData:
    """Token data of the call that made the chat message at `message_index`.

    `message_index` is None when the message isn't sent: all the call made was reasoning, which the options drop.
    """

    message_index: int | None
    data: CallTokenData


def token_data_of(carrier: JsonObject) -> CallTokenData | None:
    """Return the token data that an item or a message carries; None without both lists of ids."""
    prompt, generated = carrier.get("prompt_token_ids"), carrier.get("generation_token_ids")
    if not isinstance(prompt, list) or not isinstance(generated, list):
        return None
    log_probs = carrier.get("generation_log_probs")
    return CallTokenData(prompt, generated, log_probs if isinstance(log_probs, list) else None)


def attach_token_data(output: Sequence[JsonObject], data: CallTokenData) -> None:
    """Put the token data of one model call on the last item of `output`, which must be what that call generated.

    Readers expect it there and only there: repeating it on each item would multiply the size of a rollout.

    Raises:
        RolloutError: `token_data_invalid`, when `output` is empty.
    """
    if not output:
        raise rollout_error("token_data_invalid", "the model call made no item that could carry its token data")
    output[-1].update(data.fields())
