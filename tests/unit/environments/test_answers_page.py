"""docs/environment-answers.md: its code runs."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.environments import HeavyWorkConfig
from tests.docs.pages import ROOT, blocks_of
from tests.unit.environments.conftest import message, verify_request

PAGE = "docs/environment-answers.md"
BLOCKS = [block.code for block in blocks_of(PAGE, "python")]


def run_block(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Import a block as a module, which processes of heavy work import too."""
    (tmp_path / "block_of_the_page.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    namespace: dict[str, Any] = {"__name__": "block_of_the_page"}
    exec(compile(code, str(tmp_path / "block_of_the_page.py"), "exec"), namespace)
    return namespace


def reward_of(server_class: type[SimpleResourcesServer], text: str, **task: Any) -> float:
    config_class: Any = server_class.model_fields["config"].annotation
    server = server_class(config=config_class(host="", port=0, entrypoint="", name="page"))
    with TestClient(server.setup_webserver()) as client:
        reward: float = client.post("/verify", json=verify_request(message(text), **task)).json()["reward"]
    return reward


def test_the_code_that_finds_answers_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = run_block(BLOCKS[0], tmp_path, monkeypatch)["Letters"]
    assert [reward_of(letters, text, expected="B") for text in ("(B)", "(A) (B)")] == [1.0, 0.0]


def test_the_code_of_heavy_work_gives_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = run_block(BLOCKS[1], tmp_path, monkeypatch)["Digits"]
    assert [reward_of(digits, text, number=100) for text in ("158", "157")] == [1.0, 0.0]


def test_the_defaults_that_the_page_names_are_those_of_the_settings() -> None:
    config = HeavyWorkConfig()
    for name in ("cpu_limit_s", "wall_limit_s", "max_waiting"):
        assert f"`{name}` ({getattr(config, name):.0f})" in (ROOT / PAGE).read_text()
