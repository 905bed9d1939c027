"""The page on environments with many tools: mix-ins of tools, and a verdict that calls them again."""

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.environments import BaseResourcesServerConfig, Environment, ToolError, tool
from nemo_gym.server_utils import ServerClient
from tests.docs.pages import blocks_of
from tests.unit.environments.conftest import call, message, verify_request

PAGE = "docs/environment-many-tools.md"
ADD_EMMA, REMOVE_EMMA, REMOVE_IT = (call(f"{verb}_book", '{"title": "Emma"}') for verb in ("add", "remove", "shred"))


@pytest.fixture(scope="module")
def shelf_server() -> type[Environment]:
    (block,) = blocks_of(PAGE, "python")
    names: dict[str, Any] = {"__name__": "the_page"}
    exec(compile(block.code, PAGE, "exec", dont_inherit=True), names)
    server: type[Environment] = names["ShelfServer"]
    return server


@pytest.mark.parametrize(
    ("output", "reward"),
    [
        pytest.param([REMOVE_EMMA, message("Done.")], 1.0, id="done"),
        pytest.param([REMOVE_EMMA, REMOVE_EMMA], 1.0, id="refused-the-second-time"),
        pytest.param([REMOVE_IT, call("remove_book", '{"name": "Emma"}'), REMOVE_EMMA], 1.0, id="mended"),
        pytest.param([REMOVE_EMMA, ADD_EMMA], 0.0, id="undone"),
        pytest.param([message("Done.")], 0.0, id="only-said"),
    ],
)
def test_the_page_s_verdict_compares_end_states(
    serve: Callable[..., TestClient], shelf_server: type[Environment], output: list[dict[str, Any]], reward: float
) -> None:
    client, task = serve(shelf_server), {"expected_calls": [["remove_book", "Emma"]]}
    client.post("/seed_session", json=verify_request(**task))
    assert client.post("/verify", json=verify_request(*output, **task)).json()["reward"] == reward


def test_a_session_of_the_page_changes_its_own_state(
    serve: Callable[..., TestClient], shelf_server: type[Environment]
) -> None:
    client = serve(shelf_server)
    for _ in range(2):
        session = TestClient(client.app)
        session.post("/seed_session", json=verify_request())
        assert session.post("/remove_book", json={"title": "Emma"}).text == "Removed."


class First:
    @tool
    def zebra(self, stripes: int) -> int:
        return stripes + 1


class Second:
    @tool
    async def ape(self) -> str:
        raise ToolError("It sleeps.")


class Zoo(First, Second, Environment):
    @tool
    async def bear(self) -> str:
        return "brown"

    def reward(self) -> float:
        return 1.0


class QuietZoo(Zoo):
    @tool
    async def ape(self) -> str:
        return "awake"

    async def bear(self) -> str:
        return "no tool any more"


@pytest.fixture
def zoo() -> Zoo:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="zoo")
    return Zoo(config=config, server_client=MagicMock(spec=ServerClient))


def test_tools_of_bases_come_in_the_order_of_the_bases_and_before_the_class_s_own() -> None:
    assert list(Zoo.tools) == ["zebra", "ape", "bear"]


def test_a_method_that_replaces_a_tool_decides_whether_it_is_one() -> None:
    assert list(QuietZoo.tools) == ["zebra", "ape"]
    assert QuietZoo.tools["ape"].function is QuietZoo.ape


async def test_call_tool_returns_what_the_method_returns(zoo: Zoo) -> None:
    assert await zoo.call_tool("zebra", {"stripes": "4"}) == 5
    assert await zoo.call_tool("bear", {}) == "brown"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("lion", {}, "there is no tool named 'lion'"),
        ("zebra", {}, "stripes: Field required"),
        ("zebra", {"stripes": 1, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ("ape", {}, "It sleeps."),
    ],
)
async def test_call_tool_refuses_in_words(zoo: Zoo, name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        await zoo.call_tool(name, arguments)
