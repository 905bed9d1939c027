"""The head, served inside the launcher: what it tells is what the launcher knows."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.head import HeadServer
from nemo_gym.servers.instance_state import ServerInstanceState
from nemo_gym.servers.serve import Seat, hosted

_STOP_S = 1.0


class HeadProcess:
    """The running head; `stop` ends it."""

    def __init__(self, server: uvicorn.Server, task: asyncio.Task[None]) -> None:
        self._server = server
        self._task = task

    @classmethod
    async def start(
        cls,
        config: BaseServerConfig,
        listener: socket.socket,
        public_config: dict[str, Any],
        instances: Callable[[], list[ServerInstanceState]],
        run_id: str,
        run_token: str | None,
    ) -> "HeadProcess":
        """Serve the head on `listener`, to who has the token; to everyone when that is None."""
        app = HeadServer(config, public_config, instances, run_id).setup_webserver()
        seat = Seat(app, [listener], advertised_host=config.host)
        server = hosted(seat, run_token, lifespan="off")
        return cls(server, asyncio.create_task(server.serve(sockets=[listener])))

    async def stop(self) -> None:
        """End it within a second; may be called again."""
        self._server.should_exit = self._server.force_exit = True
        await asyncio.wait([self._task], timeout=_STOP_S)
        self._task.cancel()
        await asyncio.wait([self._task])
