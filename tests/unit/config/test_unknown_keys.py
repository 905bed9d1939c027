"""Settings of a server that its configuration class doesn't have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from nemo_gym import global_config
from nemo_gym.config.checks.unknown_keys import unknown_keys
from responses_api_agents.simple_agent.app import SimpleAgent

ROOT = Path(__file__).parents[3]
BLOCK = {
    "entrypoint": "app.py",
    "host": "127.0.0.1",
    "port": 0,
    "resources_server": {"type": "resources_servers", "name": "r"},
    "model_server": {"type": "responses_api_models", "name": "m"},
}


class AgentConfig(BaseModel):
    max_steps: int = 5
    system_prompt: str = Field(default="", validation_alias=AliasChoices("system_prompt", "developer_prompt"))


class OpenConfig(AgentConfig):
    model_config = ConfigDict(extra="allow")


def test_misspelt_setting_is_a_mistake_with_the_near_one() -> None:
    [mistake] = unknown_keys(AgentConfig, {"max_step": 3, "entrypoint": "app.py"}, "agent").mistakes
    assert (mistake.what, mistake.where) == ("unknown setting 'max_step'", "agent.max_step")
    assert mistake.fix == "did you mean 'max_steps'?"


def test_other_unknown_settings_are_listed() -> None:
    found = unknown_keys(AgentConfig, {"team": "a", "max_steps": 3, "contact": "b"}, "agent")
    assert (found.plain, found.mistakes) == (("team", "contact"), ())


@pytest.mark.parametrize("key", ["developer_prompt", "description", "verified", "domain", "datasets", "num_workers"])
def test_alias_shared_and_informational_keys_are_known(key: str) -> None:
    found = unknown_keys(AgentConfig, {key: "x"}, "agent")
    assert (found.plain, found.mistakes) == ((), ())


def test_class_that_allows_extra_fields_knows_every_key() -> None:
    assert unknown_keys(OpenConfig, {"max_step": 3, "team": "a"}, "agent").mistakes == ()


def _serve_agent(**settings: object) -> subprocess.CompletedProcess[str]:
    """Start the simple agent with these settings; it doesn't get as far as serving."""
    config = {"agent": {"responses_api_agents": {"simple_agent": {**BLOCK, **settings}}}}
    environment = {**os.environ, "NEMO_GYM_CONFIG_DICT": repr(config), "NEMO_GYM_CONFIG_PATH": "agent"}
    folder = ROOT / "responses_api_agents/simple_agent"
    return subprocess.run(
        [sys.executable, "app.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_server_with_a_misspelt_setting_refuses_to_start() -> None:
    done = _serve_agent(max_step=5)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "config error: unknown setting 'max_step'",
        "  where: agent.max_step",
        "  fix:   did you mean 'max_steps'?",
    ]


def test_server_says_once_which_settings_nothing_reads(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    block = {**BLOCK, "team": "a", "contact": "b", "description": "c"}
    config = {"agent": {"responses_api_agents": {"simple_agent": block}}}
    monkeypatch.setattr(global_config, "_cached", OmegaConf.create(config))
    assert SimpleAgent.load_config_from_global_config("agent").name == "agent"
    assert [r.getMessage() for r in caplog.records] == ["agent: no server reads these settings: team, contact"]
