"""The client: a call says only the server's name; where that server runs is a setting."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import yaml
from omegaconf import DictConfig
from starlette.types import ASGIApp

from nemo_gym.config.addresses import http_url
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import configured_head, get_first_server_config_dict
from nemo_gym.servers.answer import Answer, failure_of
from nemo_gym.servers.in_memory import request_in_memory
from nemo_gym.servers.plain_get import get_json
from nemo_gym.servers.redirect import redirect_of
from nemo_gym.servers.run_pass import RunPass
from nemo_gym.servers.run_token import RUN_TOKEN_ENV, token_for_head, token_in_environment
from nemo_gym.servers.session_id import session_id_of
from nemo_gym.servers.transport import request
from nemo_gym.servers.worker import WORKER_URLS_KEY, WorkerUrls
from nemo_gym.wire.failure import RolloutError

HEAD_TIMEOUT_S = 10.0
UNAUTHORIZED = 401


class ServerClient:
    """Calls the servers of one run by name.

    Args:
        head_server_config: Where the head listens.
        global_config_dict: The run's configuration, with `host` and `port` of every instance.
        run_token: The run's token; by default that of the environment, which servers of a run have.
    """

    def __init__(
        self, head_server_config: BaseServerConfig, global_config_dict: DictConfig, run_token: str | None = None
    ) -> None:
        self.head_server_config = head_server_config
        self.global_config_dict = global_config_dict
        self._base_urls: dict[str, str] = {}
        self._workers: dict[str, WorkerUrls] = {}
        self._local_apps: Mapping[str, ASGIApp] = {}
        self._pass = RunPass(run_token or token_in_environment())

    @classmethod
    def load_from_global_config(
        cls, head_server_config: BaseServerConfig | None = None, run_token: str | None = None
    ) -> "ServerClient":
        """Return a client for the run whose head listens at `head_server_config` (default: as configured).

        Without `run_token` it takes that of the environment (NEMO_GYM_RUN_TOKEN), else it finds the one of a run that
        this user started here.

        Raises:
            ConfigError: No head answers there, or it wants another token.
        """
        if head_server_config is None:
            host, port = configured_head()
            head_server_config = BaseServerConfig(host=host, port=port)
        token = run_token or token_for_head(head_server_config.host, head_server_config.port)
        return cls(head_server_config, fetch_global_config(head_server_config, token), token)

    async def request(self, server_name: str, url_path: str, method: str, **kwargs: Any) -> Answer:
        """Send a request to an instance; see `nemo_gym.servers.transport.request` for the arguments."""
        app = self._local_apps.get(server_name)
        try:
            if app is not None:
                return await self._request_in_memory(app, server_name, url_path, method, kwargs)
            return await self._request_over_http(server_name, url_path, method, kwargs)
        except RolloutError as error:
            raise _named_by_peer(error) from error

    async def get(self, server_name: str, url_path: str, **kwargs: Any) -> Answer:
        """GET from an instance."""
        return await self.request(server_name, url_path, "GET", **kwargs)

    async def post(self, server_name: str, url_path: str, **kwargs: Any) -> Answer:
        """POST to an instance."""
        return await self.request(server_name, url_path, "POST", **kwargs)

    def use_local_apps(self, apps: Mapping[str, ASGIApp]) -> None:
        """Call these instances in memory: they live in this process."""
        self._local_apps = apps

    def base_url(self, server_name: str) -> str:
        """Return `http://host:port` of an instance; KeyError, with what is known, when there is none."""
        url = self._base_urls.get(server_name)
        if url is None:
            block = get_first_server_config_dict(self.global_config_dict, server_name)
            url = self._base_urls[server_name] = http_url(block["host"], block["port"])
            if block.get(WORKER_URLS_KEY):
                self._workers[server_name] = WorkerUrls(block[WORKER_URLS_KEY])
        return url

    async def _request_in_memory(
        self, app: ASGIApp, server_name: str, url_path: str, method: str, options: dict[str, Any]
    ) -> Answer:
        follows = options.pop("allow_redirects", True)
        url = self.base_url(server_name) + url_path
        answer = await request_in_memory(app, method, url, server=server_name, **options)
        redirect = redirect_of(answer, options) if follows and answer.status // 100 == 3 else None
        if redirect is None:
            return answer
        if redirect.stays:
            return await self._send(server_name, redirect.url, redirect.method, redirect.options)
        return await request(redirect.method, redirect.url, server=server_name, **redirect.options)

    async def _send(self, server_name: str, url: str, method: str, options: dict[str, Any]) -> Answer:
        return await request(method, url, server=server_name, **self._pass.shown(options))

    async def _request_over_http(self, server_name: str, url_path: str, method: str, options: dict[str, Any]) -> Answer:
        url = self.base_url(server_name)
        workers = self._workers.get(server_name)
        if workers is None:
            return await self._send(server_name, url + url_path, method, options)
        session_id = session_id_of(server_name, options.get("headers") or {}, options.get("cookies") or {})
        if session_id is not None:
            return await self._send(server_name, workers.owner_url(session_id) + url_path, method, options)
        worker_url = workers.next_url()
        try:
            return await self._send(server_name, (worker_url or url) + url_path, method, options)
        except RolloutError as error:
            if worker_url is None or error.failure.kind != "transport_unreachable":
                raise
        workers.leave_out(worker_url)  # it is not started any more: the others take over
        return await self._send(server_name, url + url_path, method, options)


def _named_by_peer(error: RolloutError) -> RolloutError:
    """A server of the run that hangs up before it answers has died: it was there when the work began."""
    hung_up = isinstance(error.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    if error.failure.kind != "transport_dropped" or not hung_up:
        return error
    return RolloutError(error.failure.model_copy(update={"kind": "server_died"}), error.trajectory)


def fetch_global_config(head: BaseServerConfig, run_token: str | None) -> DictConfig:
    """Ask the head for the configuration of its run, which has no secrets in it.

    Raises:
        ConfigError: No head answers there, or it wants another token.
    """
    try:
        text = get_json(f"{http_url(head.host, head.port)}/global_config_dict_yaml", run_token, HEAD_TIMEOUT_S)
    except (OSError, ValueError) as error:
        if getattr(error, "code", None) == UNAUTHORIZED:
            raise ConfigError(_wrong_token(head)) from error
        where = f"{head.host}:{head.port} (head_server.host, head_server.port)"
        fix = "start the servers first, with ng_run, or name the head of the run that is meant"
        raise ConfigError(Mistake(f"no head server answers: {error}", where=where, fix=fix)) from error
    return DictConfig(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _wrong_token(head: BaseServerConfig) -> Mistake:
    has_one = token_in_environment() is not None
    what = f"the run at {head.host}:{head.port} wants its token, and "
    what += f"{RUN_TOKEN_ENV} holds another" if has_one else "none was found: another user, machine or home started it"
    fix = f"unset {RUN_TOKEN_ENV}, or set it" if has_one else f"set {RUN_TOKEN_ENV}"
    fix += " to what is in the run's token file; `ng_status +token_file=true`, where it was started, says where that is"
    return Mistake(what, where="head_server.host, head_server.port", fix=fix)


def require_server(config: Mapping[Any, Any] | DictConfig, name: str, kind: str) -> None:
    """Raise the ConfigError for a server name that is not an instance of `kind` in a run's configuration."""
    known = [str(key) for key, block in config.items() if isinstance(block, Mapping | DictConfig) and kind in block]
    if name not in known:
        what = f"no {kind} instance named '{name}' in the running servers"
        raise ConfigError(Mistake(what, known=known, fix=did_you_mean(name, known)))


async def raise_for_status(response: Answer) -> None:
    """Raise the failure that an error answer carries; return on success."""
    if not response.ok:
        raise failure_of(response)


async def get_response_json(response: Answer) -> Any:
    """Return the decoded JSON body of an answer."""
    return orjson.loads(await response.read())
