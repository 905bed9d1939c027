"""Checks before the first rollout: would it fail for a reason that every rollout shares?

One small call to each model server, one look at each verifier and its tools. Nothing is written.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nemo_gym.collections.files import OutputPaths, check_output_path
from nemo_gym.collections.tasks import PARAMS_KEY, Task, agent_of, check_task_file, read_tasks
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.keys import AGENTS_KIND, KINDS, MODELS_KIND, RESOURCES_KIND
from nemo_gym.global_config import get_first_server_config_dict
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.rollouts.reverify.verify_schema import VerifySchema
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import failure_of
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.sessions.tools import OfferedTools, is_tool_name
from nemo_gym.wire.failure import Failure, RolloutError

ROWS_READ = 100
BOUND = Deadline(10.0, "the bound of a check before the first rollout")
PING = {"input": "ping", "max_output_tokens": 16}  # 16 is the least that the OpenAI API takes
_SKIP = "+preflight=false collects without this check"
_NO_USE_KINDS = frozenset({"model_auth", "model_quota_exhausted", "model_bad_request", "transport_unreachable"})
_FROM_THE_AGENT = frozenset({PARAMS_KEY, "response"})

Row = dict[str, Any]


def is_agent(block: Any) -> bool:
    """Tell whether a value of a run's configuration is an agent."""
    return hasattr(block, "keys") and AGENTS_KIND in block


def require_agent(config: Mapping[Any, Any] | DictConfig, name: str) -> None:
    """Raise the ConfigError for an `agent_name` that isn't an agent in a run's configuration."""
    known, fix = _agents_to_name(config)
    if name not in known:
        what = f"no agent named '{name}' in the run" + (", but a server of another kind" if name in config else "")
        raise ConfigError(Mistake(what, "agent_name", known, did_you_mean(name, known) or fix))


def _agents_to_name(config: Mapping[Any, Any] | DictConfig) -> tuple[list[str], str]:
    """Return the agents of a run's configuration, and what to write or do where none of them was named."""
    known = [str(key) for key, block in config.items() if is_agent(block)]
    return known, f"+agent_name={known[0]}" if known else "start a run that has an agent"


def check_beforehand(
    options: RolloutCollectionConfig, client: ServerClient, input_path: Path, paths: OutputPaths
) -> None:
    """Raise ConfigError with every mistake in the options that can be known without asking a server."""
    mistakes: list[Mistake] = []
    for check in (
        partial(check_task_file, input_path),
        partial(_check_output, options, input_path, paths),
        partial(check_agent_is_known, client, options.agent_name, input_path),
    ):
        try:
            check()
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(*mistakes)


def _check_output(options: RolloutCollectionConfig, input_path: Path, paths: OutputPaths) -> None:
    check_output_path(paths.rollouts, input_path)
    if not (options.resume or options.overwrite) and paths.rollouts.exists():
        fix = "+resume=true continues it, +overwrite=true starts anew"
        raise ConfigError(Mistake(f"{paths.rollouts} exists", where="output_jsonl_fpath", fix=fix))


def check_agent_is_known(client: ServerClient, agent_name: str | None, input_path: Path) -> None:
    """Raise ConfigError when `agent_name` isn't an agent of the run, or is missing where rows name none."""
    if agent_name is not None:
        require_agent(client.global_config_dict, agent_name)
    elif input_path.is_file():
        first = next(read_tasks(input_path, 1), None)
        if first is not None and b'"agent_ref"' not in first.line:
            known, fix = _agents_to_name(client.global_config_dict)
            what = "agent_name is missing, and rows name no agent_ref"
            raise ConfigError(Mistake(what, "command line", known, fix))


async def find_mistakes(client: ServerClient, tasks: Sequence[Task], agent_name: str | None) -> list[Mistake]:
    """Return what would make rollouts fail; empty when nothing is found.

    Args:
        client: A client of the run.
        tasks: What is about to be generated: the first `ROWS_READ` are enough. Without any no model is asked.
        agent_name: The agent of every task; None: the one each row names.
    """
    try:
        row_of = dict(_first_row_of_each_agent(client, tasks, agent_name))
    except ValueError as error:
        fix = "correct the row (+preflight=false makes a failure of it, and goes on with the others)"
        return [Mistake(str(error), where="input_jsonl_fpath", fix=fix)]
    policies = {
        name: row for agent, (_, row) in row_of.items() for name in referenced_servers(client, agent, MODELS_KIND)
    }
    environments = {name for agent in row_of for name in referenced_servers(client, agent, RESOURCES_KIND)}
    others = {name: key for server in environments for key, name in _references(client, server, MODELS_KIND)}
    checks = [_model_mistakes(client, name, "policy", row) for name, row in sorted(policies.items())]
    checks += [_model_mistakes(client, name, _role(others[name])) for name in sorted(others.keys() - policies.keys())]
    checks += [_environment_mistakes(client, agent, task, row) for agent, (task, row) in row_of.items()]
    return [mistake for found in await asyncio.gather(*checks) for mistake in found]


def _first_row_of_each_agent(
    client: ServerClient, tasks: Sequence[Task], agent_name: str | None
) -> Iterator[tuple[str, tuple[Task, Row]]]:
    """Yield the agents and their first rows. Raises ValueError for a malformed first task; later ones are left out."""
    seen = set()
    for task in tasks:
        try:
            row = task.row()
        except ValueError:
            if task is tasks[0]:
                raise
            continue
        agent = agent_name or agent_of(row)
        if agent is not None and agent in client.global_config_dict and agent not in seen:
            seen.add(agent)
            yield agent, (task, row)


def referenced_servers(client: ServerClient, server: str, kind: str) -> list[str]:
    """Return the instances of a kind that a server's settings name, in their order, each once."""
    return list(dict.fromkeys(name for _, name in _references(client, server, kind)))


def _references(client: ServerClient, server: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield (key, instance) for every instance of a kind that a server's settings name."""

    def found(key: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping | DictConfig):
            if value.get("type") == kind and "name" in value:
                yield key, str(value["name"])
            for inner_key, inner in value.items():
                yield from found(str(inner_key), inner)

    block = get_first_server_config_dict(client.global_config_dict, server)
    return (reference for reference in found("", block) if _is_instance(client, reference[1]))


def _role(key: str) -> str:
    return "user" if key == "user_model_server" else "judge"


def _is_instance(client: ServerClient, name: str) -> bool:
    block = client.global_config_dict.get(name)
    return isinstance(block, Mapping | DictConfig) and any(kind in block for kind in KINDS)


async def _model_mistakes(client: ServerClient, name: str, role: str, row: Row | None = None) -> list[Mistake]:
    """Make one small call, with the tools of a row; that a model is only slow or busy isn't a mistake.

    `role` is policy, judge or user.
    """
    tools = (row or {}).get(PARAMS_KEY, {}).get("tools")
    ping = {**PING, "tools": tools} if tools else PING
    try:
        answer = await client.post(name, "/v1/responses", json=ping, deadline=BOUND)
        failure = None if answer.ok else failure_of(answer).failure
    except RolloutError as error:
        failure = error.failure
    if failure is None or failure.kind not in _NO_USE_KINDS:
        return []
    reason = failure.reason.removeprefix(f"{name}: ")
    return [Mistake(f"the test call to {name} failed: {reason}", where=name, fix=_model_fix(failure, role))]


def _model_fix(failure: Failure, role: str) -> str:
    status = failure.origin.status if failure.origin is not None else None
    if failure.kind == "model_auth":
        fix = f"set {role}_api_key in env.yaml to a key that the endpoint accepts, and start ng_run again"
    elif failure.kind == "model_quota_exhausted":
        fix = f"raise the quota of the account behind {role}_api_key, or use another key"
    elif failure.kind == "transport_unreachable":
        fix = f"start the endpoint, or correct {role}_base_url and start ng_run again"
    elif status in (404, 405):
        fix = f"correct {role}_base_url (it ends in /v1 as a rule) or {role}_model_name, and start ng_run again"
    else:
        fix = "correct the settings of the model server"
    return f"{fix} ({_SKIP})"


async def _environment_mistakes(client: ServerClient, agent: str, task: Task, row: Row) -> list[Mistake]:
    found = []
    for server in referenced_servers(client, agent, RESOURCES_KIND):
        found += await _verifier_mistakes(client, server, task, row)
        found += await _tool_mistakes(client, server, task, row)
    return found


async def _verifier_mistakes(client: ServerClient, server: str, task: Task, row: Row) -> list[Mistake]:
    schema = await VerifySchema.ask(client, server, BOUND)
    missing = sorted(schema.required - _FROM_THE_AGENT - row.keys()) if schema is not None else []
    if not missing:
        return []
    what = f"line {task.line_number} lacks {', '.join(missing)}, which the verifier of {server} needs"
    fix = f"add {'them' if len(missing) > 1 else 'it'} to every row, or choose the agent that these tasks are for"
    return [Mistake(what, where="input_jsonl_fpath", known=sorted(row), fix=f"{fix} ({_SKIP})")]


async def _tool_mistakes(client: ServerClient, server: str, task: Task, row: Row) -> list[Mistake]:
    declared = row[PARAMS_KEY].get("tools") or []
    names = [str(tool.get("name")) for tool in declared if isinstance(tool, dict) and tool.get("type") == "function"]
    if not names:
        return []
    try:
        offered = await OfferedTools.ask(client, server, BOUND)
    except (RolloutError, ValueError):
        return []  # a server that is in trouble shows that in rollouts, and they say why
    known = [str(tool.get("name")) for tool in offered.tools]
    unknown = [name for name in names if not (name in known or (is_tool_name(name) and not offered.is_all))]
    if not unknown:
        return []
    what = f"line {task.line_number} declares tools that {server} doesn't have: {', '.join(unknown)}"
    fix = did_you_mean(unknown[0], known) or "declare only tools that the environment has"
    return [Mistake(what, where=f"input_jsonl_fpath, {PARAMS_KEY}.tools", known=known, fix=f"{fix} ({_SKIP})")]
