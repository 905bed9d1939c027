"""What a collection is, in a few words: agent, model, when, state."""

from typing import Any, Literal

import msgspec
from pydantic import BaseModel

from nemo_gym.viewer.collection.follower import Follower, Look
from nemo_gym.viewer.collection.table import FAILED

State = Literal["running", "being read", "complete", "cut off", "file alone", "missing"]


class Identity(BaseModel):
    """A collection in short. Times in seconds since the epoch; `expected` is None for a rollout file alone.

    `tasks`: rows of the task file that are one task count once; `repeats`: rollouts of each, None where they differ.
    """

    path: str
    agent: str
    model: str
    started_at: float | None
    changed_at: float | None
    state: State
    tasks: int | None
    repeats: int | None
    expected: int | None
    settled: int
    versions: dict[str, str]
    settings: dict[str, Any]


class _Response(msgspec.Struct):
    model: Any = None


class _AgentRef(msgspec.Struct):
    name: Any = None


class _Names(msgspec.Struct):
    response: _Response | None = None
    agent_ref: _AgentRef | None = None


_NAMES = msgspec.json.Decoder(_Names)


def identity_of(follower: Follower) -> Identity:
    """Return what is known of a collection."""
    look = follower.look
    manifest, settled = follower.manifest, follower.table.num_settled
    agent, model = _names(follower)
    expected = None if manifest is None else manifest.num_tasks * manifest.num_repeats
    try:
        changed_at: float | None = follower.paths.rollouts.stat().st_mtime
    except OSError:
        changed_at = None
    return Identity(
        path=str(follower.paths.rollouts),
        agent=agent or (str(manifest.settings.get("agent_name") or "") if manifest else ""),
        model=model,
        started_at=manifest.started_at if manifest else None,
        changed_at=changed_at,
        state=_state(look, expected, settled),
        tasks=follower.table.rows.num_tasks if manifest else None,
        repeats=follower.table.rows.group_size if manifest else None,
        expected=expected,
        settled=settled,
        versions=manifest.versions if manifest else {},
        settings=manifest.settings if manifest else {},
    )


def _state(look: Look, expected: int | None, settled: int) -> State:
    if not look.is_there:
        return "missing"
    if look.is_running:
        return "running"
    if expected is None:
        return "file alone"
    if settled >= expected:
        return "complete"
    return "cut off" if look.is_caught_up else "being read"


def _names(follower: Follower) -> tuple[str, str]:
    """Return agent and model as the first rollout that was read names them."""
    table = follower.table
    first = next((number for number in table.current() if table.outcomes[number] != FAILED), None)
    if first is None:
        return "", ""
    try:
        names = _NAMES.decode(follower.line(table[first]).text)
    except (OSError, msgspec.DecodeError, RecursionError):  # it vanishes: its page says so elsewhere
        return "", ""
    agent = names.agent_ref.name if names.agent_ref else None
    model = names.response.model if names.response else None
    return (agent if isinstance(agent, str) else ""), (model if isinstance(model, str) else "")
