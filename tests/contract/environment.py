"""One resources server of the contract test: its folder, its server as a run would build it, and calls that fit it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from omegaconf import DictConfig

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.environment_checks.fitting import fitting as fitting_value
from nemo_gym.launch.processes.component_module import served_class
from nemo_gym.server_utils import BaseServerConfig, ServerClient
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.parent for path in ROOT.glob("resources_servers/*/app.py"))


@dataclass(frozen=True)
class Environment:
    """A component folder below `resources_servers/`."""

    folder: Path

    @cached_property
    def instance(self) -> tuple[str, dict[str, Any]]:
        """Name and settings of the shipped configuration's resources server."""
        for path in sorted(self.folder.glob("configs/*.yaml")):
            for name, block in yaml.safe_load(path.read_text()).items():
                if isinstance(block, dict) and (found := block.get("resources_servers", {}).get(self.folder.name)):
                    return name, found
        raise AssertionError(f"no configuration in {self.folder}/configs has this server")

    @cached_property
    def models(self) -> dict[str, ScriptedModelConfig]:
        """The scripted models of the shipped configurations, by name: a verifier that asks a judge ships one."""
        blocks = {
            name: block["responses_api_models"]["scripted_model"]
            for path in sorted(self.folder.glob("configs/*.yaml"))
            for name, block in yaml.safe_load(path.read_text()).items()
            if "responses_api_models" in block
        }
        return {name: ScriptedModelConfig(host="", port=0, name=name, **block) for name, block in blocks.items()}

    def client(self) -> ServerClient:
        """Return a client that knows the scripted models, called in memory, and no other server."""
        nowhere = {"host": "127.0.0.1", "port": 1}
        known = {name: {"responses_api_models": {"scripted_model": nowhere}} for name in self.models}
        client = ServerClient(BaseServerConfig(**nowhere), DictConfig(known))
        client.use_local_apps({name: ScriptedModel(config=c).setup_webserver() for name, c in self.models.items()})
        return client

    def server(self) -> SimpleResourcesServer:
        """Build the server from its shipped settings, without other servers around it but its scripted models."""
        name, settings = self.instance
        server_class = served_class(self.folder / "app.py")
        config_class: Callable[..., Any] = server_class.model_fields["config"].annotation  # type: ignore[assignment]
        config = config_class(host="", port=0, name=name, **settings)
        return server_class(config=config, server_client=self.client())  # type: ignore[return-value]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The shipped example tasks."""
        return [json.loads(line) for line in (self.folder / "data/example.jsonl").read_text().splitlines()]


def tools_of(app: FastAPI) -> list[dict[str, Any]]:
    """Return the tools as the server lists them."""
    tools: list[dict[str, Any]] = TestClient(app).get("/tools").json()
    return tools


def fitting(schema: dict[str, Any]) -> Any:
    """Return the smallest value that fits a tool's JSON schema."""
    return fitting_value(schema, "Oslo")


def trajectory(tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a Response of a policy that called every tool once, read the results, and ended with a message."""
    output: list[dict[str, Any]] = []
    for number, tool in enumerate(tools):
        call = {"call_id": f"call_{number}", "name": tool["name"], "arguments": json.dumps(fitting(tool["parameters"]))}
        output.append({"type": "function_call", **call})
        output.append({"type": "function_call_output", "call_id": call["call_id"], "output": "{}"})
    said = {"type": "output_text", "text": "Done.", "annotations": []}
    output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]})
    fields = {"id": "resp_1", "object": "response", "created_at": 0, "model": "scripted", "output": output}
    return {**fields, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
