"""Single answers, each labelled good or bad, for KTO."""

from collections.abc import Iterator, Mapping

from nemo_gym.training.formats.conversation import conversation_of
from nemo_gym.training.formats.format import ColumnKind, Row, kept
from nemo_gym.training.group import Group, Tally
from nemo_gym.training.options import ExportOptions


class KtoFormat:
    """One row for each rollout; `label` is whether its reward reaches the threshold."""

    columns: Mapping[str, ColumnKind] = {
        "prompt": "objects",
        "completion": "objects",
        "label": "boolean",
        "tools": "text",
        "task_index": "integer",
        "rollout_index": "integer",
        "reward": "number",
    }

    def __init__(self, options: ExportOptions, tally: Tally) -> None:
        self._options = options
        self._tally = tally

    def rows(self, group: Group) -> Iterator[Row]:
        """Yield the rows of a group."""
        for rollout, conversation in kept(group, lambda each: conversation_of(each, self._options), self._tally):
            self._tally.with_tool_results += conversation.has_tool_results
            yield {
                "prompt": conversation.prompt,
                "completion": conversation.completion,
                "label": rollout.reward >= self._options.reward_threshold,
                "tools": conversation.tools,
                "task_index": rollout.task_index,
                "rollout_index": rollout.rollout_index,
                "reward": rollout.reward,
            }
