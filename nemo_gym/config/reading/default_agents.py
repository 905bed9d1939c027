"""Agents for environments that no configured agent is for: the simple one, with the environment's own tools."""

from collections.abc import Iterator
from typing import Any

from nemo_gym.config.checks.blocks import is_server_name
from nemo_gym.config.keys import AGENTS_KIND, MCP_KEY_NAME, MODELS_KIND, RESOURCES_KIND
from nemo_gym.config.reading.merged import MergedConfig, Source

AGENT = "simple_agent"
POLICY = "policy_model"


def add_default_agents(merged: MergedConfig, *, starts_servers: bool = True) -> None:
    """Add an agent `<environment>_simple_agent` for each environment that has none.

    The model is `policy_model`, or the only one there is. Without either nothing is added, as the servers may be meant
    for something else; unless no server is to start (not `starts_servers`), when the model may be missing. Settings of
    such an agent can be given as for any other; set to null, it is left out.
    """
    servers = {name: block for name, block in merged.values.items() if isinstance(block, dict)}
    models = [name for name, block in servers.items() if MODELS_KIND in block]
    model = models[0] if len(models) == 1 else POLICY if POLICY in models or not starts_servers else None
    if model is None:
        return
    agents = [block[AGENTS_KIND] for block in servers.values() if AGENTS_KIND in block]
    served = set(_named(agents))
    environments = [name for name, block in servers.items() if RESOURCES_KIND in block and name not in served]
    wanted = {default_agent_of(name): _agent(name, model) for name in environments if is_server_name(name)}
    merged.add(Source("defaults", _missing(wanted, merged.values)))


def default_agent_of(environment: str) -> str:
    """Return the name of the agent that an environment gets."""
    return f"{environment}_{AGENT}"


def has_default_agent_alone(environment: str, merged: MergedConfig) -> bool:
    """Tell whether no agent but the one that an environment gets is for it."""
    others = (
        block[AGENTS_KIND]
        for name, block in merged.values.items()
        if isinstance(block, dict) and AGENTS_KIND in block and name != default_agent_of(environment)
    )
    return environment not in _named(list(others))


def add_run_wide_settings(merged: MergedConfig) -> None:
    """Give each environment the run's `mcp`, where that is true and the environment says nothing itself."""
    if merged.values.get(MCP_KEY_NAME) is not True:
        return
    wanted = {
        name: {RESOURCES_KIND: {implementation: {MCP_KEY_NAME: True}}}
        for name, block in merged.values.items()
        if isinstance(block, dict) and isinstance(block.get(RESOURCES_KIND), dict)
        for implementation, settings in block[RESOURCES_KIND].items()
        if isinstance(settings, dict)
    }
    merged.add(Source("defaults", _missing(wanted, merged.values)))


def _missing(wanted: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the part of `wanted` that isn't given."""
    missing: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in given:
            missing[key] = value
        elif isinstance(value, dict) and isinstance(given[key], dict) and (inner := _missing(value, given[key])):
            missing[key] = inner
    return missing


def _agent(environment: str, model: str) -> dict[str, Any]:
    settings = {
        "entrypoint": "app.py",
        "resources_server": {"type": RESOURCES_KIND, "name": environment},
        "model_server": {"type": MODELS_KIND, "name": model},
        "tools_from_resources_server": True,
    }
    return {AGENTS_KIND: {AGENT: settings}}


def _named(value: Any) -> Iterator[str]:
    """Yield the environments that settings of agents refer to."""
    if isinstance(value, dict):
        if value.get("type") == RESOURCES_KIND and isinstance(value.get("name"), str):
            yield value["name"]
        for inner in value.values():
            yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)
