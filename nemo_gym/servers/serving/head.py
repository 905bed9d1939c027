"""The head: knows every server of the run, its address and its state. It is served inside the launcher."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
import yaml
from fastapi import FastAPI
from starlette.responses import JSONResponse

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.runs.record import ServerInstanceState
from nemo_gym.servers.serving.serve import ServedApp, hosted


class HeadServer:
    """The head's app.

    Args:
        config: Where the head listens.
        public_config: The run's configuration as plain data, without secrets.
        instances: Gives the state of every instance at this moment.
        run_id: Name of the run, as `ng_status` shows it.
    """

    def __init__(
        self,
        config: BaseServerConfig,
        public_config: dict[str, Any],
        instances: Callable[[], list[ServerInstanceState]],
        run_id: str = "",
    ) -> None:
        self.config = config
        self._yaml = yaml.safe_dump(public_config, sort_keys=False)
        self._instances = instances
        self._run_id = run_id

    def setup_webserver(self) -> FastAPI:
        """Return the head's app."""
        app = FastAPI(title="head server")
        app.get("/global_config_dict_yaml")(self.global_config_dict_yaml)
        app.get("/server_instances")(self.server_instances)
        app.get("/health", include_in_schema=False)(self._health)
        app.get("/", include_in_schema=False)(self._health)
        return app

    async def global_config_dict_yaml(self) -> JSONResponse:
        """Return the configuration without secrets: YAML text, sent as one JSON string."""
        return JSONResponse(self._yaml)

    async def server_instances(self) -> list[ServerInstanceState]:
        """Return the state of every instance."""
        return self._instances()

    async def _health(self) -> dict[str, str]:
        return {"status": "ok", "name": "head", "run": self._run_id}


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
        """Serve the head on `listener`, to callers that present the token; to everyone when that is None."""
        app = HeadServer(config, public_config, instances, run_id).setup_webserver()
        served = ServedApp(app, [listener], advertised_host=config.host)
        server = hosted(served, run_token, lifespan="off")
        return cls(server, asyncio.create_task(server.serve(sockets=[listener])))

    async def stop(self) -> None:
        """End it within a second; may be called again."""
        self._server.should_exit = self._server.force_exit = True
        await asyncio.wait([self._task], timeout=_STOP_S)
        self._task.cancel()
        await asyncio.wait([self._task])
