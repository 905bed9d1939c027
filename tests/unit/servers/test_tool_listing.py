"""`GET /tools`: an environment's tools as function tools, and nothing else."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi import Body, FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from nemo_gym.base_resources_server import BaseResourcesServerConfig, BaseVerifyRequest, SimpleResourcesServer
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.sessions.tools import RESERVED_PATHS


class Street(BaseModel):
    name: str


class Address(BaseModel):
    """Where somebody lives."""

    street: Street
    number: int = Field(default=1, description="House number.")


class MapServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/find_address")(self.find_address)
        app.post("/locate")(self.locate)
        app.post("/reset")(self.reset)
        app.get("/status")(self.reset)
        app.post("/items/{item}")(self.item)
        return app

    async def find_address(self, request: Request, body: Address) -> str:
        """Find an address.

        More words.
        """
        return "here"

    async def locate(self, body: Address = Body()) -> str:
        return "here"

    async def reset(self) -> None: ...

    async def item(self, item: str) -> None: ...

    async def verify(self, body: BaseVerifyRequest) -> Any: ...


@pytest.fixture(scope="module")
def tools() -> dict[str, dict[str, Any]]:
    """The tools of the server, by name."""
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="map")
    app = MapServer(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()
    return {tool["name"]: tool for tool in TestClient(app).get("/tools").json()}


def test_the_tools_are_the_post_routes_that_are_not_reserved(tools: dict[str, Any]) -> None:
    assert list(tools) == ["find_address", "locate", "reset"]
    own = {"/verify", "/seed_session", "/next_turn", "/close_session", "/health", "/tools", "/mcp", "/"}
    assert own == RESERVED_PATHS


def test_a_tool_is_described_by_its_docstring_or_else_by_its_body(tools: dict[str, Any]) -> None:
    assert tools["find_address"]["description"] == "Find an address.\n\nMore words."
    assert tools["locate"]["description"] == "Where somebody lives."
    assert tools["reset"]["description"] == ""


def test_parameters_are_the_bodys_schema_with_its_definitions(tools: dict[str, Any]) -> None:
    parameters = tools["find_address"]["parameters"]
    assert parameters["properties"]["number"]["description"] == "House number."
    assert parameters["required"] == ["street"]
    assert parameters["$defs"]["Street"]["required"] == ["name"]


def test_a_tool_without_a_body_takes_no_arguments(tools: dict[str, Any]) -> None:
    assert tools["reset"]["parameters"] == {"type": "object", "properties": {}, "additionalProperties": False}


def test_what_is_listed_can_be_declared_to_a_model_as_it_is(tools: dict[str, Any]) -> None:
    params = NeMoGymResponseCreateParamsNonStreaming(input="hi", tools=list(tools.values()))
    assert params.tools == list(tools.values())
