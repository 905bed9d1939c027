"""The collator for TRL's trainers, as far as it can go wrong; with the trainers themselves: `make test-training`."""

from typing import Any

import pytest

from nemo_gym.training.policy_tokens import PolicyTokensCollator
from tests.unit.training.conftest import Row


class Words:
    """A tokenizer with one token, of which a template marks nothing or all."""

    def __init__(self, mark: int) -> None:
        self.mark = mark

    def apply_chat_template(self, messages: list[Row], **_options: Any) -> Row:
        return {"input_ids": [7] * len(messages), "assistant_masks": [self.mark] * len(messages)}


MESSAGES = {"prompt": [{"role": "user"}], "completion": [{"role": "assistant"}]}


@pytest.mark.parametrize(
    ("row", "mark", "said"),
    [
        ({"prompt_ids": [7], "completion_ids": [7]}, 1, "remove_unused_columns=False"),
        ({**MESSAGES, "prompt_ids": [7], "completion_ids": [7]}, 0, "marks nothing as generated"),
        ({**MESSAGES, "prompt_ids": [7], "completion_ids": [8]}, 1, "doesn't render completion as the trainer did"),
    ],
    ids=["no-messages", "no-marks", "other-tokens"],
)
def test_rows_whose_tokens_are_not_known_are_refused_and_never_trained_on(row: Row, mark: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PolicyTokensCollator(lambda _: {}, Words(mark))([row])
