"""Scoring existing rollouts again with today's verifier: a collection whose trajectories are there already."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.rollouts.collection import Collection, is_agent
from nemo_gym.rollouts.collection_options import ReverifyConfig
from nemo_gym.rollouts.old_verdict import verdict_fields, verify_request_of
from nemo_gym.rollouts.outcome import ROLLOUT_INDEX_KEY, TASK_INDEX_KEY, Outcome, Scored
from nemo_gym.rollouts.reverify import resources_server_of
from nemo_gym.rollouts.settled import Key, Settled
from nemo_gym.rollouts.task import Task, agent_of
from nemo_gym.rollouts.work import Work
from nemo_gym.servers.client import ServerClient
from nemo_gym.wire.failure import RolloutError


@dataclass
class RewardChanges:
    """How the rewards of this run compare with those that the rows came with."""

    compared: int = 0
    changed: int = 0


class RolloutRow(Task):
    """A row of a rollout file."""

    def row(self) -> dict[str, Any]:
        """Return the decoded rollout; raises ValueError with what is wrong and on which line."""
        row = super().row()
        if not isinstance(row.get("response"), dict) or not isinstance(row["response"].get("output"), list):
            raise ValueError(f"line {self.line_number} lacks response (an object with `output`): it is no rollout")
        return row


class Reverification(Collection):
    """One reverification; like a Collection. The rows keep their task and repeat."""

    def __init__(self, options: ReverifyConfig, client: ServerClient) -> None:
        super().__init__(options.as_collection(), client)
        self.changes = RewardChanges()
        self._verdict_fields: dict[str, frozenset[str]] = {}
        self._rewards_before: dict[Key, Any] = {}

    def _check_output(self) -> None:
        super()._check_output()
        output, read = self.paths.rollouts.resolve(), self.input_path.resolve()
        if output == read or read in [path.resolve() for path in self.paths.all()]:
            what = f"{self.paths.rollouts} or a file beside it is the input: it would be written onto"
            raise ConfigError(Mistake(what, where="output_jsonl_fpath", fix="name another file"))

    async def _prepare(self) -> None:
        for name, block in self.client.global_config_dict.items():
            if is_agent(block):
                self._verdict_fields[str(name)] = await self._fields_of(str(name))

    async def _fields_of(self, agent_name: str) -> frozenset[str]:
        try:
            return await verdict_fields(self.client, resources_server_of(self.client, agent_name))
        except RolloutError:  # it names no verifier: a row that wants it will say so
            return frozenset()

    def _tasks(self) -> Iterator[Task]:
        return (RolloutRow(task.index, task.line_number, task.line) for task in super()._tasks())

    def _work(self, settled: Settled) -> Iterator[Work]:
        for task in self._tasks():
            try:
                rollout = task.row()
            except ValueError:  # the collector meets it again, and makes it a failure
                rollout = {}
            key = rollout.get(TASK_INDEX_KEY, task.index), rollout.get(ROLLOUT_INDEX_KEY, 0)
            if not settled.is_settled(key):
                self._rewards_before[key] = rollout.get("reward")
                named = RolloutRow(key[0], task.line_number, task.line)
                yield Work(named, key[1], settled.attempts[key], self._verify_request(rollout))

    def _verify_request(self, rollout: dict[str, Any]) -> dict[str, Any]:
        agent_name = self.options.agent_name or agent_of(rollout)
        return verify_request_of(rollout, self._verdict_fields.get(agent_name or "", frozenset()))

    def _on_outcome(self, outcome: Outcome) -> None:
        super()._on_outcome(outcome)
        before = self._rewards_before.pop(outcome.key, None)
        if isinstance(outcome, Scored) and before is not None:
            self.changes.compared += 1
            self.changes.changed += before != outcome.reward
