"""Conversations for supervised fine-tuning, chosen by reward."""

from collections.abc import Iterator, Mapping

from nemo_gym.training.formats.conversation import Conversation, conversation_of
from nemo_gym.training.formats.digest_set import DigestSet
from nemo_gym.training.formats.format import ColumnKind, Row
from nemo_gym.training.group import Group, LeftOutError, Rollout, Tally
from nemo_gym.training.options import ExportOptions


class SftFormat:
    """One row for each conversation that is good enough, best first within a task.

    Two conversations are the same when they differ in nothing but the ids of their tool calls. `loss_mask` has one
    number for each message (of `prompt` and `completion` together): 1 where the policy wrote it.
    """

    def __init__(self, options: ExportOptions, tally: Tally) -> None:
        self._options = options
        self._tally = tally
        self._seen = DigestSet()
        in_one = options.layout == "messages"
        conversation: dict[str, ColumnKind] = (
            {"messages": "objects"} if in_one else {"prompt": "objects", "completion": "objects"}
        )
        self.columns: Mapping[str, ColumnKind] = {
            **conversation,
            "tools": "text",
            "loss_mask": "integers",
            "task_index": "integer",
            "rollout_index": "integer",
            "reward": "number",
        }

    def rows(self, group: Group) -> Iterator[Row]:
        """Yield the rows of a group."""
        taken = 0
        for rollout in sorted(group, key=lambda each: (-each.reward, each.rollout_index)):
            try:
                conversation = self._chosen(rollout, taken)
            except LeftOutError as error:
                self._tally.leave_out(error.reason, rollout, error.detail)
                continue
            taken += 1
            yield self._row(rollout, conversation)

    def _chosen(self, rollout: Rollout, taken: int) -> Conversation:
        options = self._options
        if options.min_reward is not None and rollout.reward < options.min_reward:
            raise LeftOutError("below_min_reward", f"reward {rollout.reward:g}")
        if taken == options.best_of:
            raise LeftOutError("not_among_the_best")
        conversation = conversation_of(rollout, options)
        if options.layout == "messages" and any(message["role"] == "assistant" for message in conversation.prompt):
            # In one list, trainers can't tell them from the policy's.
            raise LeftOutError("answers_in_the_task", "needs +layout=prompt_completion")
        if options.deduplicate and not self._seen.add(conversation.prompt_text + conversation.completion_text):
            raise LeftOutError("duplicate")
        return conversation

    def _row(self, rollout: Rollout, conversation: Conversation) -> Row:
        if self._options.layout == "messages":
            row: Row = {"messages": [*conversation.prompt, *conversation.completion]}
        else:
            row = {"prompt": conversation.prompt, "completion": conversation.completion}
        row |= {"tools": conversation.tools, "loss_mask": conversation.loss_mask}
        return row | {
            "task_index": rollout.task_index,
            "rollout_index": rollout.rollout_index,
            "reward": rollout.reward,
        }
