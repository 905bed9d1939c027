"""What a conversion leaves to the model and its engine."""

from dataclasses import dataclass
from typing import Literal

ReasoningForm = Literal["drop", "reasoning_content", "reasoning", "think_tags"]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How one chat endpoint wants its requests, and how it writes its answers.

    Attributes:
        reasoning: How earlier reasoning is handed back to the model: in the field of that name on the assistant's
            message, in its text between `<think>` tags, or not at all. A completion made of a Response
            (`to_completion`) writes its reasoning in the same form.
        max_tokens_field: The field that limits the generated tokens; many engines know only the older `max_tokens`.
        developer_role: The role under which developer messages are sent; many chat templates know only "system".
        send_token_data: Whether earlier assistant messages carry the token data of their calls (`prompt_token_ids`,
            `generation_token_ids`, `generation_log_probs`), for engines of ours that continue from them.
        think_in_text: What happens to `<think>` blocks in the text of an answer: "split" makes them reasoning,
            "keep" leaves them in the text.
        template_opens_think: The chat template itself ends with `<think>`, so an answer without an end tag was cut
            off while the model was thinking, and all of it is reasoning.
    """

    reasoning: ReasoningForm = "reasoning_content"
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    developer_role: Literal["developer", "system"] = "developer"
    send_token_data: bool = False
    think_in_text: Literal["split", "keep"] = "split"
    template_opens_think: bool = False


DEFAULT_OPTIONS = ChatOptions()
