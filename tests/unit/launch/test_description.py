"""What a resources server offers is found out by its own code, in a process of its own, and trouble is one line."""

from pathlib import Path

import pytest

from nemo_gym.launch.processes.description import NotDescribed, describe_server
from tests.bounds import NEVER_S

SERVER = """
from pydantic import BaseModel
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig, BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer
)

print("a component may print what it likes")

class LookRequest(BaseModel):
    where: str

class MyVerifyRequest(BaseVerifyRequest):
    expected: str

class MyServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig

    def setup_webserver(self):
        app = super().setup_webserver()
        app.post("/look")(self.look)
        return app

    async def look(self, body: LookRequest) -> dict:
        return {}

    async def verify(self, body: MyVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)

if __name__ == "__main__":
    MyServer.run_webserver()
"""
BLOCK = {"resources_servers": {"mine": {"entrypoint": "app.py", "domain": "other"}}}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "resources_servers" / "mine" / "app.py"
    path.parent.mkdir(parents=True)
    path.write_text(SERVER)
    return path


def test_a_server_describes_its_verifier_and_its_tools(script: Path) -> None:
    described = describe_server("my_server", script, BLOCK)
    assert [tool["name"] for tool in described.tools] == ["look"]
    assert not described.has_more_tools
    schemas = described.openapi["components"]["schemas"]
    assert "expected" in schemas["MyVerifyRequest"]["required"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("import no_such_package", "No module named 'no_such_package'", id="import"),
        pytest.param("raise ValueError('no data folder')", "ValueError: no data folder", id="error"),
    ],
)
def test_code_that_fails_is_said_in_one_line(script: Path, line: str, said: str) -> None:
    script.write_text(line + "\n" + SERVER)
    with pytest.raises(NotDescribed, match=said):
        describe_server("my_server", script, BLOCK)


def test_code_that_takes_too_long_is_ended(script: Path) -> None:
    script.write_text(f"import time\ntime.sleep({NEVER_S})\n" + SERVER)
    with pytest.raises(NotDescribed, match=r"took longer than 0\.5 s"):
        describe_server("my_server", script, BLOCK, bound_s=0.5)
