"""What an engine's own routes have to offer where token data is recorded."""

from dataclasses import dataclass
from typing import Protocol

from nemo_gym.models.chat.token_data import CallTokenData
from nemo_gym.wire.json_object import JsonObject


@dataclass(frozen=True, slots=True)
class Earlier:
    """The tokens from which a call continues.

    Attributes:
        message_index: Of the assistant message that they end with, in `messages`.
        ids: All tokens up to the end of that answer, as text: numbers with commas between them, without brackets.
        count: How many they are.
    """

    message_index: int
    ids: bytes
    count: int


class TokenSource(Protocol):
    """Asks an engine so that it says which tokens it was given and which it sampled."""

    async def complete(
        self, body: JsonObject, earlier: Earlier | None, rollout: str
    ) -> tuple[JsonObject, CallTokenData]:
        """Return the completion and the tokens of the call.

        Args:
            body: Chat create parameters.
            earlier: What the prompt has to begin with; None: this is the first call of its rollout.
            rollout: Calls with the same text stay at one endpoint.

        Raises:
            RolloutError: As a model endpoint's client, or `token_data_invalid`.
        """
        ...
