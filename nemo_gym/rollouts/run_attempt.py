"""One attempt: POST the row to its agent's `/run`, or verify again what an earlier attempt generated."""

import logging
from typing import Any

import orjson

from nemo_gym.rollouts.outcome import Attempt, Outcome
from nemo_gym.rollouts.reverify import verify_again
from nemo_gym.servers.answer import failure_of
from nemo_gym.servers.client import ServerClient
from nemo_gym.servers.transport import Deadline
from nemo_gym.wire.failure import RolloutError, rollout_error

_log = logging.getLogger("nemo_gym.rollouts")


async def run_attempt(
    client: ServerClient,
    row: dict[str, Any],
    attempt: Attempt,
    *,
    timeout_s: float,
    trajectory: dict[str, Any] | None = None,
) -> Outcome:
    """Return the outcome of one attempt within `timeout_s`; a failure is an outcome, only cancellation is raised."""
    deadline = Deadline(timeout_s, "setting rollout_timeout_s", "agent_timeout")
    try:
        agent_name = _known_agent(client, attempt)
        if trajectory is not None:
            return await _verdict(client, agent_name, trajectory, attempt, deadline)
        return attempt.scored(await _run(client, agent_name, row, deadline))
    except RolloutError as error:
        return attempt.failed(error)
    except Exception as error:  # one row that meets a bug of ours must not end a night's collection
        _log.exception("rollout %s", attempt.rollout_id)
        reason = f"{type(error).__name__} in the collector: {error}"
        return attempt.failed(rollout_error("agent_error", reason, server="collector", delivery="possibly_delivered"))


def _known_agent(client: ServerClient, attempt: Attempt) -> str:
    name = attempt.agent_name
    if name is None:
        reason = "no agent: the row has no agent_ref, and agent_name is not set"
        raise rollout_error("input_invalid", reason, stage="admission", delivery="not_sent")
    try:
        client.base_url(name)
    except KeyError as error:
        raise rollout_error("input_invalid", error.args[0], stage="admission", delivery="not_sent") from error
    return name


async def _verdict(
    client: ServerClient, agent_name: str, trajectory: dict[str, Any], attempt: Attempt, deadline: Deadline
) -> Outcome:
    answer = await verify_again(client, agent_name, trajectory, deadline)
    try:
        return attempt.scored(answer)
    except RolloutError as error:
        raise RolloutError(error.failure, trajectory) from error


async def _run(client: ServerClient, agent_name: str, row: dict[str, Any], deadline: Deadline) -> Any:
    answer = await client.post(agent_name, "/run", json=row, deadline=deadline)
    if not answer.ok:
        raise failure_of(answer)
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise rollout_error("agent_error", f"{agent_name} answered no JSON: {error}", server=agent_name) from error
