"""One attempt: POST the row to its agent's `/run`, or verify again what an earlier attempt generated."""

from typing import Any

import orjson

from nemo_gym.rollouts.outcome import Attempt, Outcome
from nemo_gym.rollouts.reverify import verify_again
from nemo_gym.servers.answer import failure_of
from nemo_gym.servers.client import ServerClient
from nemo_gym.servers.transport import Deadline
from nemo_gym.wire.failure import RolloutError, rollout_error


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
        if attempt.agent_name is None:
            raise rollout_error("input_invalid", "no agent: the row has no agent_ref, and agent_name is not set")
        if trajectory is not None:
            return attempt.scored(await verify_again(client, attempt.agent_name, trajectory, deadline))
        return attempt.scored(await _run(client, attempt.agent_name, row, deadline))
    except RolloutError as error:
        return attempt.failed(error)


async def _run(client: ServerClient, agent_name: str, row: dict[str, Any], deadline: Deadline) -> Any:
    try:
        answer = await client.post(agent_name, "/run", json=row, deadline=deadline)
    except RolloutError as error:
        # The agent was there when the work began, and took the row: it died with the rollout inside.
        if error.failure.kind == "transport_dropped" and error.failure.origin is not None:
            died = error.failure.model_copy(update={"kind": "server_died"})
            raise RolloutError(died) from error
        raise
    if not answer.ok:
        raise failure_of(answer)
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise rollout_error("agent_error", f"{agent_name} answered no JSON: {error}", server=agent_name) from error
