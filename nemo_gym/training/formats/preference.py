"""Pairs of a better and a worse answer to one task, for DPO and its relatives."""

import hashlib
from collections.abc import Iterator, Mapping

from nemo_gym.training.formats.conversation import Conversation, conversation_of
from nemo_gym.training.formats.format import ColumnKind, Row, kept
from nemo_gym.training.group import Group, Rollout, Tally
from nemo_gym.training.options import ExportOptions

_ROUNDING = 1e-9
"""Rewards that are a margin apart in decimals may differ by less in binary."""

Answer = tuple[Rollout, Conversation]


class PreferenceFormat:
    """One row for each pair. Both have the same prompt and tools, byte for byte: `prompt_sha256` is of these bytes."""

    columns: Mapping[str, ColumnKind] = {
        "prompt": "objects",
        "chosen": "objects",
        "rejected": "objects",
        "tools": "text",
        "prompt_sha256": "text",
        "task_index": "integer",
        "chosen_rollout_index": "integer",
        "rejected_rollout_index": "integer",
        "chosen_reward": "number",
        "rejected_reward": "number",
    }

    def __init__(self, options: ExportOptions, tally: Tally) -> None:
        self._options = options
        self._tally = tally

    def rows(self, group: Group) -> Iterator[Row]:
        """Yield the pairs of a group."""
        answers = kept(group, lambda rollout: conversation_of(rollout, self._options), self._tally)
        by_prompt: dict[bytes, list[Answer]] = {}
        for answer in answers:
            by_prompt.setdefault(answer[1].prompt_text, []).append(answer)
        for prompt, same in by_prompt.items():
            if len(same) == 1:
                self._tally.leave_out("group_of_one" if len(answers) == 1 else "prompt_differs", same[0][0])
            else:
                yield from self._pairs_of(hashlib.sha256(prompt).hexdigest(), same)

    def _pairs_of(self, prompt_sha256: str, answers: list[Answer]) -> Iterator[Row]:
        ranked = sorted(answers, key=lambda answer: (-answer[0].reward, answer[0].rollout_index))
        used = set()
        for chosen, rejected in self._pairs(ranked):
            used |= {chosen[0].rollout_index, rejected[0].rollout_index}
            self._tally.with_tool_results += chosen[1].has_tool_results + rejected[1].has_tool_results
            yield _row(chosen, rejected, prompt_sha256)
        for rollout, _ in ranked:
            if rollout.rollout_index not in used:
                self._tally.leave_out("not_in_a_pair", rollout)

    def _pairs(self, ranked: list[Answer]) -> Iterator[tuple[Answer, Answer]]:
        """Yield the pairs of answers, which come with falling rewards; of one pair, the two farthest apart."""
        if self._options.pairs == "one":
            worst_first = sorted(ranked, key=lambda answer: (answer[0].reward, answer[0].rollout_index))
            pairs = ((chosen, rejected) for chosen in ranked for rejected in worst_first)
            best = next((pair for pair in pairs if self._is_pair(*pair)), None)
            yield from [best] if best else []
            return
        for at, chosen in enumerate(ranked):
            yield from ((chosen, rejected) for rejected in ranked[at + 1 :] if self._is_pair(chosen, rejected))

    def _is_pair(self, chosen: Answer, rejected: Answer) -> bool:
        difference = chosen[0].reward - rejected[0].reward
        is_apart = difference > 0 and difference >= self._options.margin - _ROUNDING
        return is_apart and chosen[1].completion_text != rejected[1].completion_text


def _row(chosen: Answer, rejected: Answer, prompt_sha256: str) -> Row:
    return {
        "prompt": chosen[1].prompt,
        "chosen": chosen[1].completion,
        "rejected": rejected[1].completion,
        "tools": chosen[1].tools,
        "prompt_sha256": prompt_sha256,
        "task_index": chosen[0].task_index,
        "chosen_rollout_index": chosen[0].rollout_index,
        "rejected_rollout_index": rejected[0].rollout_index,
        "chosen_reward": chosen[0].reward,
        "rejected_reward": rejected[0].reward,
    }
