"""Real servers for the tests: an app on a free port, and a client that finds instances by name."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from fastapi import FastAPI
from omegaconf import DictConfig

from nemo_gym.server_utils import BaseServerConfig, ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads

ServeApp = Callable[[FastAPI], int]


@pytest.fixture
def serve_app() -> Iterator[ServeApp]:
    """Return a function that serves an app until the test ends and gives its port."""
    with serving_in_threads() as serve:
        yield serve


@pytest.fixture
def client_for() -> Callable[..., ServerClient]:
    """Return a function from ports by instance name to a client of those instances."""

    def make(**ports: int) -> ServerClient:
        blocks = {
            name: {"resources_servers": {"implementation": {"host": "127.0.0.1", "port": port}}}
            for name, port in ports.items()
        }
        return ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig(blocks))

    return make


@pytest_asyncio.fixture(autouse=True)
async def _closed_client(serve_app: ServeApp) -> AsyncIterator[None]:
    # Before the servers stop: they wait for connections that are still open.
    yield
    await close_global_aiohttp_client()
