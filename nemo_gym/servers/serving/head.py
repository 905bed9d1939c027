"""The head: knows every server of the run, its address and its state. It is served inside the launcher."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Protocol

import uvicorn
import yaml
from fastapi import FastAPI
from starlette.responses import JSONResponse, PlainTextResponse, Response

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.addresses import ADDRESSES_PATH, LONGEST_WAIT_S, ServerAddresses
from nemo_gym.servers.runs.record import ServerInstanceState
from nemo_gym.servers.runs.renewal import RenewableContext
from nemo_gym.servers.serving.metrics.exposition import CONTENT_TYPE
from nemo_gym.servers.serving.metrics.run_page import run_metrics
from nemo_gym.servers.serving.serve import ServedApp, hosted


class RunFacts(Protocol):
    """What the head knows of its run."""

    @property
    def run_id(self) -> str:
        """Name of the run, as `ng_status` shows it."""

    def public_config(self) -> dict[str, Any]:
        """Return the configuration as plain data, with the addresses of this moment and without secrets."""

    def states_now(self) -> list[ServerInstanceState]:
        """Return the state of every instance at this moment."""

    async def addresses_after(self, version: int, wait_s: float) -> ServerAddresses:
        """Return the addresses of placed servers as soon as they are newer, at the latest after `wait_s` seconds."""


class HeadServer:
    """The head's app.

    Args:
        config: Where the head listens.
        run: What it tells others.
        access: How the servers are called when it asks them for their metrics.
    """

    def __init__(self, config: BaseServerConfig, run: RunFacts, access: RunAccess = RunAccess()) -> None:
        self.config = config
        self._run = run
        self._access = access
        self._dumped: tuple[dict[str, Any] | None, str] = (None, "")

    def setup_webserver(self) -> FastAPI:
        """Return the head's app."""
        app = FastAPI(title="head server")
        app.get("/global_config_dict_yaml")(self.global_config_dict_yaml)
        app.get("/server_instances")(self.server_instances)
        app.get(ADDRESSES_PATH)(self.server_addresses)
        app.get("/metrics", response_class=PlainTextResponse)(self.metrics)
        app.get("/health", include_in_schema=False)(self._health)
        app.get("/", include_in_schema=False)(self._health)
        return app

    async def global_config_dict_yaml(self) -> JSONResponse:
        """Return the configuration without secrets: YAML text, sent as one JSON string."""
        config = self._run.public_config()
        if config is not self._dumped[0]:
            self._dumped = config, yaml.safe_dump(config, sort_keys=False)
        return JSONResponse(self._dumped[1])

    async def server_instances(self) -> list[ServerInstanceState]:
        """Return the state of every instance."""
        return self._run.states_now()

    async def server_addresses(self, version: int = -1) -> ServerAddresses:
        """Return where the placed servers are; a caller that has the newest version waits up to 20 s."""
        return await self._run.addresses_after(version, LONGEST_WAIT_S)

    async def metrics(self) -> Response:
        """Return what the servers count of their requests, for Prometheus; each has two seconds to say it."""
        run = self._run
        page = await run_metrics(run.run_id, run.states_now(), run.public_config(), self._access)
        return Response(page, media_type=CONTENT_TYPE)

    async def _health(self) -> dict[str, str]:
        return {"status": "ok", "name": "head", "run": self._run.run_id}


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
        listeners: Sequence[socket.socket],
        run: RunFacts,
        access: RunAccess,
        tls: RenewableContext | None,
    ) -> "HeadProcess":
        """Serve the head on `listeners`, to callers that present the token; to everyone when that is None."""
        app = HeadServer(config, run, access).setup_webserver()
        served = ServedApp(app, listeners, advertised_host=config.host)
        server = hosted(served, access.token, lifespan="off", tls=tls)
        return cls(server, asyncio.create_task(server.serve(sockets=list(listeners))))

    async def stop(self) -> None:
        """End it within a second; may be called again."""
        self._server.should_exit = self._server.force_exit = True
        await asyncio.wait([self._task], timeout=_STOP_S)
        self._task.cancel()
        await asyncio.wait([self._task])
