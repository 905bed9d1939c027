"""The reference says what the code has, and the code has what the pages say."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from nemo_gym.commands.console import COMMANDS
from nemo_gym.commands.parameters import parameters
from nemo_gym.config.schema import BaseRunServerInstanceConfig, RunSettings
from nemo_gym.environments import SimulatedUserConfig
from nemo_gym.judge import JudgeConfig
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.mcp_tools.settings import McpServerSettings
from nemo_gym.wire.failure import FAILURE_KINDS
from responses_api_agents.simple_agent.app import SimpleAgentConfig
from responses_api_models.azure_openai_model.app import AzureOpenAIModelConfig
from responses_api_models.local_model.app import LocalModelConfig
from responses_api_models.openai_model.app import OpenAIModelConfig
from responses_api_models.vllm_model.app import VLLMModelConfig

ROOT = Path(__file__).parents[2]
TEXTS = {
    str(page.relative_to(ROOT)): page.read_text()
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not {"reference", "apidocs"} & set(page.parts)
}
PUBLIC_MODULES = [
    "nemo_gym",
    "nemo_gym.base_resources_server",
    "nemo_gym.base_responses_api_agent",
    "nemo_gym.base_responses_api_model",
    "nemo_gym.cli",
    "nemo_gym.config_types",
    "nemo_gym.environments",
    "nemo_gym.global_config",
    "nemo_gym.judge",
    "nemo_gym.openai_utils",
    "nemo_gym.rollout_collection",
    "nemo_gym.sandbox",
    "nemo_gym.server_utils",
    "nemo_gym.testing",
]


@pytest.fixture(scope="module")
def extension() -> Iterator[ModuleType]:
    """`docs/_ext` on the path, as Sphinx has it."""
    folder = str(ROOT / "docs/_ext")
    sys.path.insert(0, folder)
    yield importlib.import_module("reference_pages")
    sys.path.remove(folder)


def settings_in(page: str, header: str) -> set[str]:
    """The settings that the tables with this header describe: names in the first column."""
    tables = re.findall(rf"^\| {header} \|.*\n\|[ -|]*\n((?:\|.*\n?)+)", TEXTS[page], flags=re.MULTILINE)
    assert tables, f"{page} has no table headed {header}"
    return {
        name
        for table in tables
        for line in table.splitlines()
        for name in re.findall(r"`([\w.]+)`", line[: line.find(" | ")])
    }


def test_the_reference_names_a_cause_for_every_failure_kind(extension: ModuleType) -> None:
    assert extension._CAUSES.keys() == set(FAILURE_KINDS)


def test_every_command_that_a_page_names_exists_and_every_one_is_named() -> None:
    named = {name for text in TEXTS.values() for name in re.findall(r"\bng_(\w+)\b", text)}
    shortened = {name for name in named if name.endswith("_")}  # `ng_upload_dataset_to_…`
    assert named - shortened - {"task_index", "rollout_index"} <= COMMANDS.keys()
    unnamed = COMMANDS.keys() - named
    assert not {name for name in unnamed if not name.startswith(tuple(shortened))}


@pytest.mark.parametrize(
    ("page", "header", "models"),
    [
        ("docs/configuration.md", "key", [RunSettings, LaunchOptions]),
        ("docs/judge.md", "key", [JudgeConfig]),
        ("docs/multi-turn.md", "key of `simulated_user`", [SimulatedUserConfig]),
        ("docs/mcp.md", "setting", [McpServerSettings]),
        ("docs/vllm-model.md", "setting", [VLLMModelConfig]),
        ("docs/openai-model.md", "setting", [OpenAIModelConfig]),
        ("docs/azure-openai-model.md", "setting", [AzureOpenAIModelConfig]),
        ("docs/local-model.md", "setting", [LocalModelConfig]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_of_settings_has_those_of_the_code_and_no_others(
    page: str, header: str, models: list[type[BaseModel]]
) -> None:
    in_code = {one.name for model in models for one in parameters(model)}
    references = {name.rpartition(".")[0] for name in in_code if name.endswith(("_server.name", "_server.type"))}
    in_code = {name for name in in_code if name.rpartition(".")[0] not in references} | references
    if issubclass(models[0], BaseRunServerInstanceConfig):
        in_code -= set(BaseRunServerInstanceConfig.model_fields)
    assert settings_in(page, header) == in_code


def test_the_limits_of_several_turns_are_settings_of_the_agent() -> None:
    assert settings_in("docs/multi-turn.md", "setting") - {"stop"} <= set(SimpleAgentConfig.model_fields)


def test_a_generated_page_begins_with_what_the_reader_will_have_and_how_long_it_takes(extension: ModuleType) -> None:
    openings = [extension._OPENING, importlib.import_module("licenses")._OPENING]
    pages = [extension._environments(), importlib.import_module("route_pages").page()]
    pages.append(importlib.import_module("api_pages").pages()["index"])
    for opening in [*openings, *(page.split("\n\n")[1] for page in pages)]:
        assert re.search(r"At the end of this page you know .+\bminutes?\b", opening, flags=re.DOTALL), opening


def test_every_route_says_what_it_is_for(extension: ModuleType) -> None:
    page = importlib.import_module("route_pages").page()
    routes = re.findall(r"^### (\w+ \S+)\n\n(.*)", page, flags=re.MULTILINE)
    assert {"POST /run", "POST /verify", "POST /seed_session", "GET /tools", "POST /v1/responses"} <= {
        route for route, _ in routes
    }
    assert all(about and not about.startswith("**") for _, about in routes)
    assert re.search(r"^### GET /metrics\n\n.+\n\n\*\*Answer:\*\* `text/plain`$", page, flags=re.MULTILINE)


def test_the_python_api_has_every_public_module_and_name(extension: ModuleType) -> None:
    pages = importlib.import_module("api_pages").pages()
    assert set(PUBLIC_MODULES) <= pages.keys()
    for module in pages.keys() - {"index"}:
        names = getattr(importlib.import_module(module), "__all__", [])
        shown = set(re.findall(r"(?:auto\w+:: \S+\.|py:data:: |- `)(\w+)", pages[module]))
        assert set(names) <= shown, module


def test_links_to_the_repository_follow_the_address_that_is_told(
    extension: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = importlib.import_module("repository_links").link
    monkeypatch.setenv("NEMO_GYM_REPOSITORY_URL", "https://code.example/gym/")
    assert (
        link("about/index", "docs/about/index.md", "edit") == "https://code.example/gym/edit/main/docs/about/index.md"
    )
    assert link("index", "") == "https://code.example/gym"
