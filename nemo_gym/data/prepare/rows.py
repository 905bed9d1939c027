"""Is a row a task that its environment can use?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import ValidationError

from nemo_gym.collections.tasks import AGENT_REF_KEY, PARAMS_KEY, Task
from nemo_gym.config.errors import did_you_mean
from nemo_gym.config.keys import AGENTS_KIND
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()
_FROM_THE_AGENT = frozenset({PARAMS_KEY, "response"})


@dataclass(frozen=True)
class EnvironmentNeeds:
    """What a resources server asks of a task row.

    Attributes:
        name: Of the instance.
        required: Top-level fields that its verifier can't do without.
        tools: Names of its tools; None where it has some that nobody can list.
    """

    name: str
    required: frozenset[str]
    tools: frozenset[str] | None


def checked_row(task: Task, environments: Sequence[EnvironmentNeeds]) -> dict[str, Any]:
    """Return the decoded row; raises ValueError with what is wrong, beginning with "line N"."""
    row = task.row()
    mistake = _params_mistake(row[PARAMS_KEY])
    for environment in environments:
        mistake = mistake or _missing_fields(row, environment) or _unknown_tools(row[PARAMS_KEY], environment)
    if mistake:
        raise ValueError(f"line {task.line_number} {mistake}")
    return row


class AgentNamer:
    """Writes the name of an agent into rows; everything else keeps the text it came as."""

    def __init__(self, agent: str) -> None:
        self._ref = msgspec.Raw(_ENCODER.encode({"type": AGENTS_KIND, "name": agent}))

    def line(self, task: Task) -> bytes:
        """Return a row as a line with its `agent_ref`, which replaces another one."""
        fields = _FIELDS.decode(task.line)
        fields[AGENT_REF_KEY] = self._ref
        return _ENCODER.encode(fields) + b"\n"


def _params_mistake(params: Mapping[str, Any]) -> str | None:
    try:
        NeMoGymResponseCreateParamsNonStreaming.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, (PARAMS_KEY, *first["loc"])))
        return f"has a mistake in {place}: {first['msg'].removeprefix('Value error, ')}"
    return None


def _missing_fields(row: Mapping[str, Any], environment: EnvironmentNeeds) -> str | None:
    missing = sorted(environment.required - _FROM_THE_AGENT - row.keys())
    return f"lacks {', '.join(missing)}, which the verifier of {environment.name} needs" if missing else None


def _unknown_tools(params: Mapping[str, Any], environment: EnvironmentNeeds) -> str | None:
    if environment.tools is None:
        return None
    declared = [tool for tool in params.get("tools") or [] if tool.get("type") == "function"]
    unknown = [tool["name"] for tool in declared if tool["name"] not in environment.tools]
    if not unknown:
        return None
    known = sorted(environment.tools)
    hint = did_you_mean(unknown[0], known) or f"known: {', '.join(known) or 'none'}"
    return f"declares tools that {environment.name} doesn't have: {', '.join(unknown)} ({hint})"
