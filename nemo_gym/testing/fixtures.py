"""Pytest fixtures; a test module has them with `pytest_plugins = "nemo_gym.testing.fixtures"`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.servers.serving.server import SimpleServer
from nemo_gym.testing.component import Component, component
from nemo_gym.testing.in_process import InProcess, environment


@pytest.fixture
async def start_environment() -> AsyncIterator[Callable[..., Awaitable[InProcess]]]:
    """A function that starts an environment; arguments as in `environment`. It stops at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(server_class: type[SimpleServer], **options: Any) -> InProcess:
            return await stack.enter_async_context(environment(server_class, **options))

        yield start


@pytest.fixture
def own_component(request: pytest.FixtureRequest) -> Component:
    """The component in whose folder `tests/` the test is."""
    return component(Path(str(request.path)).parent.parent)


@pytest.fixture
async def own_environment(own_component: Component) -> AsyncIterator[InProcess]:
    """That component in process, with its shipped settings."""
    async with own_component.environment() as started:
        yield started
