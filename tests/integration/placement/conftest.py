"""Every placement is started once; all tests run against each of them."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from tests.chaos.invariants import assert_nothing_left
from tests.integration.placement.placement import PLACEMENTS, Placement, placed, stop


@pytest.fixture(scope="session", params=PLACEMENTS)
def placement(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placement]:
    """A started run; afterwards nothing of it is left, and the session that was still open has been cleaned up."""
    with placed(request.param, tmp_path_factory.mktemp(request.param)) as started:
        yield started
        ports = [started.head_port, *(state["port"] for state in started.instances())]
        session_id = _open_session(started)
        stop(started.process)
        assert [entry["notes"] for entry in started.record("closed", session_id)] == [["left open"]], started.log
    assert_nothing_left(started.home, ports)
    assert "Task exception was never retrieved" not in started.log


def _open_session(started: Placement) -> str:
    url = next(state["url"] for state in started.instances() if state["name"] == "placed")
    with httpx.Client(base_url=url, headers=started.headers) as caller:
        caller.post("/seed_session", json={}).raise_for_status()
        caller.post("/note", json={"entry": {"text": "left open"}}).raise_for_status()
        session_id: str = caller.post("/where", json={}).json()["session"]
    return session_id


@pytest_asyncio.fixture
async def client(placement: Placement) -> AsyncIterator[ServerClient]:
    """A client from outside, as the collector has one."""
    placement.wait_until_ready()
    yield placement.client()
    await close_global_aiohttp_client()
