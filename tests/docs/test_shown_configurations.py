"""What docs/mcp.md and docs/packages.md show of configurations and projects is so."""

import tomllib

import yaml

from nemo_gym.mcp_tools.settings import McpServerSettings
from tests.docs.pages import ROOT, blocks_of

EXAMPLE = ROOT / "docs" / "examples" / "letter_count"


def shown(page: str, language: str) -> str:
    (block,) = blocks_of(page, language)
    return block.code


def test_the_settings_of_mcp_servers_on_the_page_are_those_there_are() -> None:
    servers = yaml.safe_load(shown("docs/mcp.md", "yaml"))["example_mcp"]["resources_servers"]["example_mcp"][
        "mcp_servers"
    ]
    assert [McpServerSettings.model_validate(server).name for server in servers] == ["shop", "elsewhere"]
    page = (ROOT / "docs/mcp.md").read_text()
    assert [name for name in McpServerSettings.model_fields if f"`{name}`" not in page] == []


def test_what_the_page_shows_of_the_package_is_in_it() -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    for key, value in tomllib.loads(shown("docs/packages.md", "toml"))["project"].items():
        assert project[key] == value
    real = yaml.safe_load((EXAMPLE / "letter_count/configs/letter_count.yaml").read_text())
    (server,) = real["letter_count"]["resources_servers"].values()
    (of_page,) = yaml.safe_load(shown("docs/packages.md", "yaml"))["letter_count"]["resources_servers"].values()
    assert {key: server[key] for key in of_page} == of_page
