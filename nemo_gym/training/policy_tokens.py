"""A collator for TRL's DPO and KTO trainers that keeps out of the loss what the policy didn't write.

These trainers count every token of a completion, tool results too, and know no `assistant_only_loss`. This module needs
nothing but what runs them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Row = dict[str, Any]
_SIDES = (("chosen", "rejected"), ("completion",))


class PolicyTokensCollator:
    """Wraps a trainer's own collator, in whose batches it masks all tokens but the policy's.

    The trainer needs `remove_unused_columns=False`, so that the messages get here.

    Args:
        collator: Makes batches with `completion_mask`, and `KL_completion_mask` where KTO estimates the KL divergence.
        tokenizer: Its chat template marks what the assistant generates, as `assistant_only_loss` of the SFT trainer
            wants it; `trl.chat_template_utils.get_training_chat_template` has such templates of many models.
    """

    def __init__(self, collator: Callable[[list[Row]], dict[str, Any]], tokenizer: Any) -> None:
        self._collator = collator
        self._tokenizer = tokenizer

    def __call__(self, rows: list[Row]) -> dict[str, Any]:
        """Return a batch whose completion masks are 1 where the policy wrote the token.

        Raises:
            ValueError: Rows lack their messages, the template marks nothing, or it renders them otherwise than the
                trainer did.
        """
        batch = self._collator(rows)
        sides = next((sides for sides in _SIDES if sides[0] in rows[0]), None)
        if sides is None:
            raise ValueError("rows lack their messages: give the trainer remove_unused_columns=False")
        masks = [self._mask(row, side) for side in sides for row in rows]
        pairs = zip(rows * len(sides), masks, strict=True)
        self._apply(batch, "completion_mask", [_whole(row, mask) for row, mask in pairs])
        if "KL_completion_mask" in batch:
            self._apply(batch, "KL_completion_mask", list(_of_others(rows, masks)))
        return batch

    def _mask(self, row: Row, side: str) -> list[int]:
        """Return for each token of a completion whether the policy wrote it."""
        rendered = self._tokenizer.apply_chat_template(
            row["prompt"] + row[side],
            tools=json.loads(row["tools"]) if isinstance(row.get("tools"), str) else row.get("tools"),
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        start, ids = len(row["prompt_ids"]), row[f"{side}_ids"]
        mask: list[int] = rendered["assistant_masks"][start:]
        if rendered["input_ids"][start:] != ids:
            raise ValueError(f"the chat template doesn't render {side} as the trainer did")
        if not any(mask):
            raise ValueError("the chat template marks nothing as generated: see get_training_chat_template of TRL")
        return mask

    def _apply(self, batch: dict[str, Any], name: str, masks: Sequence[list[int]]) -> None:
        width = batch[name].shape[1]
        if getattr(self._collator, "truncation_mode", "keep_start") == "keep_end":
            masks = [mask[-(getattr(self._collator, "max_length", None) or len(mask)) :] for mask in masks]
        batch[name] = batch[name] * batch[name].new_tensor([(mask + [0] * width)[:width] for mask in masks])


def _whole(row: Row, mask: list[int]) -> list[int]:
    return [0] * len(row["prompt_ids"]) + mask


def _of_others(rows: list[Row], masks: list[list[int]]) -> Iterator[list[int]]:
    """Yield the mask of the other row's completion that each row has for the KL divergence; they are of one batch."""
    by_ids = {tuple(row["completion_ids"]): mask for row, mask in zip(rows, masks, strict=True)}
    for row in rows:
        mask = by_ids.get(tuple(row["KL_completion_ids"]))
        if mask is None:
            raise ValueError("a row's KL completion is of another batch: train_sampling_strategy='sequential'")
        yield _whole(row, mask)
