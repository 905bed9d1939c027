"""docs/environment-answers.md and docs/heavy-work.md: their code runs."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.environments import HeavyWorkConfig
from tests.docs.pages import ROOT, blocks_of
from tests.unit.environments.conftest import message, verify_request

HEAVY_WORK = "docs/heavy-work.md"
BLOCKS = [block.code for page in ("docs/environment-answers.md", HEAVY_WORK) for block in blocks_of(page, "python")]


def run_block(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Import a block as a module, which processes of heavy work import too."""
    name = f"block_{number}_of_the_page"
    (tmp_path / f"{name}.py").write_text(BLOCKS[number])
    monkeypatch.syspath_prepend(tmp_path)
    return vars(importlib.import_module(name))


def rewards_of(server_class: type[SimpleResourcesServer], *texts: str, **task: Any) -> list[float]:
    config_class: Any = server_class.model_fields["config"].annotation
    server = server_class(config=config_class(host="", port=0, entrypoint="", name="page"))
    with TestClient(server.setup_webserver()) as client:
        return [client.post("/verify", json=verify_request(message(text), **task)).json()["reward"] for text in texts]


def test_the_code_that_finds_answers_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = run_block(0, tmp_path, monkeypatch)["Letters"]
    assert rewards_of(letters, "(B)", "(A) (B)", expected="B") == [1.0, 0.0]


@pytest.mark.parametrize(("block", "name"), [(1, "Digits"), (2, "ManyDigits")])
def test_the_code_of_heavy_work_gives_rewards(
    block: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = run_block(block, tmp_path, monkeypatch)[name]
    assert rewards_of(environment, "158", "157", number=100) == [1.0, 0.0]


def test_the_defaults_that_the_page_names_are_those_of_the_settings() -> None:
    config = HeavyWorkConfig()
    for name in ("cpu_limit_s", "wall_limit_s", "max_waiting"):
        assert f"`{name}` ({getattr(config, name):.0f})" in (ROOT / HEAVY_WORK).read_text()
