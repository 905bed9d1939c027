"""What a resources server asks for and offers, told by its code: for commands that start no servers."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from nemo_gym.config.keys import default_values
from nemo_gym.launch.environments.building import environment_for
from nemo_gym.launch.environments.requirements import python_path

DESCRIBE_BOUND_S = 60.0
_MAX_REASON_CHARS = 300


class NotDescribed(Exception):
    """The component's code couldn't be asked; the message says why, in one line."""


@dataclass(frozen=True)
class ServerDescription:
    """Of one instance.

    Attributes:
        openapi: Its OpenAPI page.
        tools: As `GET /tools` lists them.
        has_more_tools: It takes names that nobody can list.
    """

    openapi: dict[str, Any]
    tools: list[dict[str, Any]]
    has_more_tools: bool


def describe_server(
    name: str, script: Path, block: Mapping[str, Any], *, bound_s: float = DESCRIBE_BOUND_S
) -> ServerDescription:
    """Build a server in a process of its own, in its own environment, and return what it offers. Nothing is served.

    Args:
        name: Of the instance.
        script: The component's entrypoint.
        block: The instance's block of the configuration.
        bound_s: How long its imports and its construction may take.

    Raises:
        NotDescribed: It failed, took too long, or its environment isn't built.
        ConfigError: Its requirements can't be read.
    """
    environment = environment_for(script.parent, "auto")
    if not environment.is_built:
        raise NotDescribed("its environment isn't built yet (ng_run and ng_test build it)")
    command = [str(environment.python), "-m", "nemo_gym.launch.processes.describe", name, str(script)]
    variables = {**os.environ, "PYTHONPATH": python_path(script.parent)}
    try:
        done = subprocess.run(
            command,
            input=yaml.safe_dump(_configuration(name, block)),
            env=variables,
            capture_output=True,
            text=True,
            timeout=bound_s,
            check=True,
        )
        return ServerDescription(**orjson.loads(done.stdout))
    except subprocess.TimeoutExpired as error:
        raise NotDescribed(f"its code took longer than {bound_s:g} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().rpartition("\n")[2]
        raise NotDescribed(last[:_MAX_REASON_CHARS] or f"exit status {error.returncode}") from error
    except (orjson.JSONDecodeError, TypeError) as error:
        raise NotDescribed(f"its description can't be read: {error}") from error


def _configuration(name: str, block: Mapping[str, Any]) -> dict[str, Any]:
    kind, implementations = next(iter(block.items()))
    placed = {implementation: {"host": "", "port": 0, **s} for implementation, s in implementations.items()}
    defaults = default_values()
    defaults["head_server"] = {"host": defaults["default_host"], "port": defaults["head_server"]["port"]}
    return {**defaults, name: {kind: placed}}
