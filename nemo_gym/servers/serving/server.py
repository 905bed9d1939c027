"""A server is a class: its configuration, a client for the others, an app. Where it runs is a setting."""

import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Self, cast

from fastapi import FastAPI
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp

from nemo_gym.config.checks.unknown_keys import unknown_keys
from nemo_gym.config.env_names import NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME, RUN_SECRET_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.schema import BaseRunServerInstanceConfig, BaseServerConfig
from nemo_gym.global_config import HEAD_SERVER_KEY_NAME, get_first_server_config_dict, get_global_config_dict
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.http.session_ids import cookie_name, own_worker_index
from nemo_gym.servers.serving.app import ServerApp
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.serve import serve
from nemo_gym.servers.sessions.cookie import SessionCookieMiddleware

_MISTAKE_STATUS = 2
_log = logging.getLogger("nemo_gym.config")


def is_nemo_gym_fastapi_worker() -> bool:
    """Tell whether this process is one of several workers of a server."""
    return own_worker_index() is not None


@cache
def run_secret() -> str:
    """Return the secret all servers of the run share; a process outside a run makes its own."""
    return os.environ.get(RUN_SECRET_ENV) or secrets.token_hex(32)


_collecting: ContextVar["list[type[SimpleServer]] | None"] = ContextVar("collecting", default=None)


@contextmanager
def collecting_served_classes() -> Iterator["list[type[SimpleServer]]"]:
    """Within the `with` block `run_webserver` serves nothing: it adds its class to the list that this gives."""
    served: list[type[SimpleServer]] = []
    token = _collecting.set(served)
    try:
        yield served
    finally:
        _collecting.reset(token)


class BaseServer(BaseModel):
    """Anything that is configured as one instance of a run."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    config: BaseRunServerInstanceConfig

    @classmethod
    def load_config_from_global_config(cls, name: str | None = None) -> BaseRunServerInstanceConfig:
        """Return an instance's configuration, typed by the annotation of `config`; by default this process's.

        Raises:
            ConfigError: It does not validate; every mistake is named.
        """
        name = name or os.environ[NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME]
        block = get_first_server_config_dict(get_global_config_dict(), name)
        settings = cast(dict[str, Any], OmegaConf.to_container(block, resolve=True))
        config_class = cast(type[BaseRunServerInstanceConfig], cls.model_fields["config"].annotation)
        unknown = unknown_keys(config_class, settings, where=name)
        try:
            config = config_class.model_validate({**settings, "name": name})
        except ValidationError as error:
            # Without the value: for a missing key it is the whole block, API keys included.
            mistakes = [
                Mistake(d["msg"], where=".".join([name, *map(str, d["loc"])]))
                for d in error.errors(include_url=False, include_input=False)
            ]
            raise ConfigError(*unknown.mistakes, *mistakes) from error
        if unknown.mistakes:
            raise ConfigError(*unknown.mistakes)
        if unknown.plain and not own_worker_index():
            _log.warning("%s: no server reads these settings: %s", name, ", ".join(unknown.plain))
        return config


class SimpleServer(BaseServer):
    """A server with routes. Subclasses add theirs in `setup_webserver`."""

    server_client: ServerClient = Field(default=cast(ServerClient, None), repr=False)  # there in every run

    def setup_webserver(self) -> FastAPI:
        """Return the app with the routes every server has."""
        title = self.config.name or type(self).__name__
        app = ServerApp(
            with_sessions=self._with_sessions, policy_of=self.endpoint_policy, title=title, lifespan=self._lifespan
        )
        app.get("/health", include_in_schema=False)(self._health)
        app.get("/", include_in_schema=False)(self._health)
        return app

    def endpoint_policy(self, path: str) -> EndpointPolicy:
        """Return the policy of the endpoint at `path`: failure kinds, deadline, session rules."""
        return EndpointPolicy(server_name=self.config.name)

    def session_cookie_name(self) -> str:
        """Return `<ClassName>___<instance name>`."""
        return cookie_name(type(self).__name__, self.config.name)

    async def startup(self) -> None:
        """Called before the server is ready: open what it needs.

        A ConfigError raised here ends the start as one in the settings does: shown without traceback.
        """

    async def shutdown(self) -> None:
        """Called when the server stops: close what `startup` opened."""

    @classmethod
    def run_webserver(cls) -> None:
        """Serve the instance that the environment names, until told to stop.

        Where several servers share a process, the script that calls this only says which class it serves.
        """
        collected = _collecting.get()
        if collected is not None:
            collected.append(cls)
            return
        try:
            server = cls.from_configuration()
            serve(server.setup_webserver(), server.config)
        except ConfigError as error:
            print(error, file=sys.stderr)  # noqa: T201  # read by a person, or by the launcher
            raise SystemExit(_MISTAKE_STATUS) from None

    @classmethod
    def from_configuration(cls, name: str | None = None) -> Self:
        """Build the server of an instance of this process's configuration; by default the one the environment names."""
        config = cls.load_config_from_global_config(name)
        everything = get_global_config_dict()
        head = BaseServerConfig.model_validate(dict(everything[HEAD_SERVER_KEY_NAME]))
        return cls(config=config, server_client=ServerClient(head, everything))

    def _with_sessions(self, app: ASGIApp) -> SessionCookieMiddleware:
        is_placed = self.config.is_placed
        urls = self.server_client.worker_urls(self.config.name) if is_placed else self.config.worker_urls
        return SessionCookieMiddleware(app, self.session_cookie_name(), run_secret(), urls)

    async def _health(self) -> dict[str, str]:
        return {"status": "ok", "name": self.config.name}

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        async with self._running(app):
            await self.startup()
            try:
                yield
            finally:
                await self.shutdown()

    @asynccontextmanager
    async def _running(self, app: FastAPI) -> AsyncIterator[None]:
        """What a base class opens and closes itself, whatever authors do in `startup` and `shutdown`."""
        try:
            yield
        finally:
            await close_global_aiohttp_client()
