"""Scoring existing rollouts again with today's verifier: a collection whose trajectories are there already."""

import base64
import itertools
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from nemo_gym.collections.identity import TaskSet
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.outcomes import Failed, Outcome
from nemo_gym.collections.reading.paged_array import Key
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.collections.records import MASK_KEYS, ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.collections.tasks import Task, agent_of
from nemo_gym.collections.writing.resume import ResumeState
from nemo_gym.rollouts.collection import Collection
from nemo_gym.rollouts.options import ReverifyConfig
from nemo_gym.rollouts.preflight import is_agent
from nemo_gym.rollouts.reverify.verify_again import resources_server_of
from nemo_gym.rollouts.reverify.verify_schema import VerifySchema
from nemo_gym.rollouts.runner import Work
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.wire.failure import RolloutError

_ALWAYS = {"reward", TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, *MASK_KEYS}
_VERDICT_DOMAINS = ("verifier_", "judge_")


def verify_request_of(rollout: dict[str, Any], verdict: Container[str]) -> dict[str, Any]:
    """Return the verify request that a rollout row was the answer to; `verdict` names what the verifier adds.

    A mask that lasts stays in it, for `verify_again` to put onto the new verdict.
    """
    request = {key: value for key, value in rollout.items() if key not in _ALWAYS and key not in verdict}
    return request | lasting_mask(rollout)


def lasting_mask(rollout: dict[str, Any]) -> dict[str, Any]:
    """Return the masking fields that a new verdict does not lift: those for what broke while the policy acted."""
    if not rollout.get("mask_sample") or str(rollout.get("failure_kind")).startswith(_VERDICT_DOMAINS):
        return {}
    return {key: rollout[key] for key in MASK_KEYS if key in rollout}


@dataclass
class RewardChanges:
    """How the rewards of this run compare with those that the rows came with."""

    compared: int = 0
    changed: int = 0


class RolloutRow(Task):
    """A row of a rollout file."""

    may_have_reward = True

    def row(self) -> dict[str, Any]:
        """Return the decoded rollout; raises ValueError with what is wrong and on which line."""
        row = super().row()
        if not isinstance(row.get("response"), dict) or not isinstance(row["response"].get("output"), list):
            raise ValueError(f"line {self.line_number} lacks response (an object with `output`): it isn't a rollout")
        return row


class Reverification(Collection):
    """One reverification; like a Collection. The rows keep their task and repeat."""

    def __init__(self, options: ReverifyConfig, client: ServerClient) -> None:
        super().__init__(options.as_collection(), client)
        self.changes = RewardChanges()
        self._verdict_fields: dict[str, frozenset[str]] = {}
        self._rewards_before: dict[Key, Any] = {}

    async def _prepare(self) -> None:
        for name, block in self.client.global_config_dict.items():
            if is_agent(block):
                self._verdict_fields[str(name)] = await self._fields_of(str(name))

    async def _fields_of(self, agent_name: str) -> frozenset[str]:
        try:
            server = resources_server_of(self.client, agent_name)
        except RolloutError:  # it names no verifier: a row that wants it will say so
            return frozenset()
        schema = await VerifySchema.ask(self.client, server)
        return frozenset({"reward"}) if schema is None else schema.added

    def _read_tasks(self) -> Iterator[Task]:
        lines = CollectionReader(self.input_path).lines()
        for index, line in enumerate(itertools.islice(lines, self.options.limit)):
            yield RolloutRow(index, line.number, line.text)

    def _make_manifest(self) -> Manifest:
        source = CollectionReader(self.input_path).manifest()
        digests = b"" if source is None else source.task_digests()
        tasks = {
            "reverified_digests": base64.b64encode(digests).decode(),
            "reverified_repeats": None if source is None else source.repeats_of_a_row,
        }
        return super()._make_manifest().model_copy(update=tasks)

    def _sent_fields(self, tasks: TaskSet) -> frozenset[str]:
        # The rows hold the old verdicts too; what the verifier adds is asked of the verifier.
        return tasks.fields.difference(*self._verdict_fields.values())

    def _work(self, settled: ResumeState) -> Iterator[Work]:
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
        if not isinstance(outcome, Failed) and before is not None:
            self.changes.compared += 1
            self.changes.changed += before != outcome.reward
