"""The official client at `/mcp` of an environment that really serves, with sessions and the run's token."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout, ToolError, tool
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.serving.authentication import TokenAuthMiddleware
from nemo_gym.servers.serving.testing import serve_in_thread
from tests.unit.mcp_tools.conftest import OnlyMcp, post, running

TOKEN = "token-of-the-run"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class Notes:
    lines: list[str] = field(default_factory=list)


class Notebook(Environment):
    @tool
    def note(self, state: Notes, line: str) -> str:
        """Write a line down.

        Args:
            line: The line.
        """
        if not line:
            raise ToolError("an empty line is no line")
        state.lines.append(line)
        return f"{len(state.lines)} lines"

    @tool
    def break_down(self, state: Notes) -> str:
        """Raise."""
        raise RuntimeError("a bug")

    def reward(self, rollout: Rollout, state: Notes) -> float:
        return float(len(state.lines))


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """How the client negotiates: with the newest protocol, or with a handshake as before it."""
    return str(request.param)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A notebook on a real socket, with the token wanted; its base URL."""
    config = BaseResourcesServerConfig(host="127.0.0.1", port=0, entrypoint="", name="notebook", mcp=True)
    app = Notebook(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()
    with serve_in_thread(TokenAuthMiddleware(app, TOKEN, "127.0.0.1")) as port:
        yield f"http://127.0.0.1:{port}"


def seed(url: str, tools: list[str] | None = None) -> dict[str, str]:
    """Seed a session whose task declares these tools; return the headers of a client of it."""
    params: dict[str, Any] = {"input": "Write."}
    if tools is not None:
        params["tools"] = [{"type": "function", "name": name, "parameters": None, "strict": True} for name in tools]
    answer = httpx.post(f"{url}/seed_session", json={"responses_create_params": params}, headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text
    return {**AUTHORIZED, "x-nemo-gym-session-id": answer.cookies["Notebook___notebook"]}


@asynccontextmanager
async def client(url: str, headers: dict[str, str], mode: str) -> AsyncIterator[Client]:
    async with AsyncExitStack() as opened:
        http = await opened.enter_async_context(create_mcp_http_client(headers=headers))
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        yield await opened.enter_async_context(Client(transport, mode=mode))


def text_of(result: Any) -> str:
    return str(result.content[0].text)


async def test_tools_are_listed_with_the_schemas_of_their_routes(url: str, mode: str) -> None:
    async with client(url, seed(url), mode) as mcp:
        listed = {tool.name: tool for tool in (await mcp.list_tools()).tools}
    assert listed.keys() == {"note", "break_down"}
    assert listed["note"].description == "Write a line down."
    assert listed["note"].input_schema["properties"] == {"line": {"type": "string", "description": "The line."}}


async def test_calls_belong_to_the_session_that_the_header_names_and_are_verified_there(url: str, mode: str) -> None:
    one, other = seed(url), seed(url)
    async with client(url, one, mode) as first, client(url, other, mode) as second:
        texts = [text_of(await mcp.call_tool("note", {"line": "x"})) for mcp in (first, second, first)]
    assert texts == ["1 lines", "1 lines", "2 lines"]
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": []}
    body = {"responses_create_params": {"input": "Write."}, "response": response}
    cookies = {"Notebook___notebook": one["x-nemo-gym-session-id"]}
    async with httpx.AsyncClient(headers=AUTHORIZED, cookies=cookies) as agent:
        verdict = await agent.post(f"{url}/verify", json=body)
    assert verdict.json()["reward"] == 2.0


async def test_a_session_sees_and_calls_only_what_its_task_declares(url: str, mode: str) -> None:
    async with client(url, seed(url, ["note", "no_such_tool"]), mode) as mcp:
        assert [tool.name for tool in (await mcp.list_tools()).tools] == ["note"]
        refused = await mcp.call_tool("break_down", {})
    assert refused.is_error
    assert json.loads(text_of(refused)) == {"error": "there is no tool named 'break_down'; the tools are: note"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"line": ""}, "an empty line is no line", id="refused"),
        pytest.param({"line": 7}, "line: Input should be a valid string", id="wrong-type"),
        pytest.param({}, "line: Field required", id="missing"),
    ],
)
async def test_refusals_are_the_texts_that_the_agent_gives_a_policy(
    url: str, mode: str, arguments: dict[str, Any], said: str
) -> None:
    async with client(url, seed(url), mode) as mcp:
        result = await mcp.call_tool("note", arguments)
    assert result.is_error
    assert said in json.loads(text_of(result))["error"]


async def test_a_tool_that_raises_is_an_error_without_its_insides(url: str, mode: str) -> None:
    async with client(url, seed(url), mode) as mcp:
        result = await mcp.call_tool("break_down", {})
    assert result.is_error
    assert "the tool break_down failed" in text_of(result)
    assert "a bug" not in text_of(result)


async def test_a_call_without_a_session_is_session_lost_where_sessions_are_kept(url: str, mode: str) -> None:
    async with client(url, AUTHORIZED, mode) as mcp:
        result = await mcp.call_tool("note", {"line": "x"})
    assert result.is_error
    assert "session_lost" in text_of(result)


def test_callers_without_the_token_or_with_a_forged_session_are_refused(url: str) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"accept": "application/json, text/event-stream"}
    assert httpx.post(f"{url}/mcp", json=ping, headers=accept).status_code == 401
    forged = {**AUTHORIZED, **accept, "x-nemo-gym-session-id": "a" * 32 + ".forged"}
    answer = httpx.post(f"{url}/mcp", json=ping, headers=forged)
    assert answer.json()["error"]["kind"] == "session_lost"


def test_a_closed_session_is_forgotten(url: str) -> None:
    headers = seed(url, ["note"])
    cookies = {"Notebook___notebook": headers["x-nemo-gym-session-id"]}
    assert httpx.post(f"{url}/close_session", headers=AUTHORIZED, cookies=cookies).json() == {"closed": True}


async def test_an_environment_takes_tools_from_another_that_serves_them(url: str) -> None:
    headers = seed(url)
    server = {"name": "notebook", "url": f"{url}/mcp", "headers": headers, "tools": ["note"]}
    async with running(OnlyMcp, mcp_servers=[server]) as app:
        assert (await post(app, "/note", {"line": "from afar"})).text == "1 lines"


async def test_a_server_at_a_url_that_goes_away_is_a_tool_failure() -> None:
    config = BaseResourcesServerConfig(host="127.0.0.1", port=0, entrypoint="", name="notebook", mcp=True)
    app = Notebook(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()
    with ExitStack() as other:
        port = other.enter_context(serve_in_thread(app))
        server = {"name": "notebook", "url": f"http://127.0.0.1:{port}/mcp", "call_timeout_s": 20}
        async with running(OnlyMcp, mcp_servers=[server]) as mine:
            before = await post(mine, "/note", {"line": "x"})
            other.close()
            after = await post(mine, "/note", {"line": "x"})
    assert "session_lost" in before.json()["detail"]
    assert after.json()["error"]["kind"] == "tool_error"


async def test_without_the_setting_there_is_no_such_path() -> None:
    async with running(OnlyMcp) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as plain:
            assert (await plain.post("/mcp", json={})).status_code == 404
