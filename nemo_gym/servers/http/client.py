"""The client: a call says only the server's name; where that server runs is a setting."""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from omegaconf import DictConfig
from starlette.types import ASGIApp

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import configured_ca, configured_head, get_first_server_config_dict, is_head_named
from nemo_gym.servers.http.address_book import AddressBook
from nemo_gym.servers.http.head_lookup import fetch_global_config, fetch_instances, find_run
from nemo_gym.servers.http.in_memory import request_in_memory
from nemo_gym.servers.http.response import HttpResponse, failure_of
from nemo_gym.servers.http.session_ids import IS_PLACED_KEY, WORKER_URLS_KEY, WorkerUrls, session_id_of
from nemo_gym.servers.http.transport import RequestOptions, request
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import ServerInstanceState
from nemo_gym.servers.runs.refusal import refusal
from nemo_gym.servers.runs.token import TOKEN_HEADER, bearer
from nemo_gym.wire.failure import RolloutError

_log = logging.getLogger("nemo_gym.client")


class ServerClient:
    """Calls the servers of one run by name.

    Args:
        head_server_config: Where the head listens.
        global_config_dict: The run's configuration, with `host` and `port` of every instance.
        access: Token and authority of the run; by default those of the environment, which servers of a run have.
    """

    def __init__(
        self,
        head_server_config: BaseServerConfig,
        global_config_dict: DictConfig,
        access: RunAccess | None = None,
    ) -> None:
        self.head_server_config = head_server_config
        self.global_config_dict = global_config_dict
        self._base_urls: dict[str, str] = {}
        self._workers: dict[str, WorkerUrls] = {}
        self._local_apps: Mapping[str, ASGIApp] = {}
        self.access = access or RunAccess.in_environment()
        self._on_nodes: set[str] = set()
        self._book: AddressBook | None = None

    @classmethod
    def load_from_global_config(
        cls, head_server_config: BaseServerConfig | None = None, access: RunAccess | None = None
    ) -> "ServerClient":
        """Return a client for the run whose head listens at `head_server_config` (default: as configured).

        Without `access` it takes what the environment has (NEMO_GYM_RUN_TOKEN, NEMO_GYM_RUN_CA), else it finds that of
        a run that this user started here.

        Raises:
            ConfigError: No head answers there; it wants another token; or the configuration names no head, and the
                one at the default address belongs to a run that this user didn't start here.
        """
        head = head_server_config or cls.load_head_server_config()
        is_named = access is not None or is_head_named()
        access = access or RunAccess.to_head(head.host, head.port, configured_ca())
        if head_server_config is None:
            run = find_run(head, access, is_named=is_named)
            _log.log(logging.INFO if run.is_from_here else logging.WARNING, "using %s", run)
        return cls(head, fetch_global_config(head, access), access)

    @classmethod
    def load_head_server_config(cls) -> BaseServerConfig:
        """Return where the head listens, as this process is configured."""
        host, port = configured_head()
        return BaseServerConfig(host=host, port=port)

    async def request(self, server_name: str, url_path: str, method: str, **kwargs: Any) -> HttpResponse:
        """Send a request to an instance; see `nemo_gym.servers.http.transport.request` for the arguments."""
        app = self._local_apps.get(server_name)
        try:
            if app is not None:
                return await self._request_in_memory(app, server_name, url_path, method, kwargs)
            return await self._request_over_http(server_name, url_path, method, kwargs)
        except RolloutError as error:
            raise _named_by_peer(error) from error

    async def get(self, server_name: str, url_path: str, **kwargs: Any) -> HttpResponse:
        """GET from an instance."""
        return await self.request(server_name, url_path, "GET", **kwargs)

    async def post(self, server_name: str, url_path: str, **kwargs: Any) -> HttpResponse:
        """POST to an instance."""
        return await self.request(server_name, url_path, "POST", **kwargs)

    def server_instances(self) -> list[ServerInstanceState]:
        """Return how the servers are, one entry for each worker; empty when the head doesn't say. Blocks up to 10 s."""
        return fetch_instances(self.head_server_config, self.access)

    def use_local_apps(self, apps: Mapping[str, ASGIApp]) -> None:
        """Call these instances in memory: they live in this process."""
        self._local_apps = apps

    def placed_worker_urls(self, server_name: str) -> Sequence[str]:
        """Return the address of each worker of an instance on a cluster, in order; they stay those of the moment."""
        return self._address_book().worker_urls(server_name)

    def base_url(self, server_name: str) -> str:
        """Return `http://host:port` of an instance; KeyError, with what is known, when there is none.

        In a run with TLS it begins with `https`. Of an instance on a cluster it is that of when this client was made.
        """
        url = self._base_urls.get(server_name)
        if url is None:
            block = get_first_server_config_dict(self.global_config_dict, server_name)
            url = self._base_urls[server_name] = self.access.url(block["host"], block["port"])
            if block.get(IS_PLACED_KEY):
                self._on_nodes.add(server_name)
            elif block.get(WORKER_URLS_KEY):
                self._workers[server_name] = WorkerUrls(block[WORKER_URLS_KEY])
        return url

    async def _request_in_memory(
        self, app: ASGIApp, server_name: str, url_path: str, method: str, options: RequestOptions
    ) -> HttpResponse:
        return await request_in_memory(
            app, method, self.base_url(server_name) + url_path, server=server_name, **options
        )

    async def _send(self, server_name: str, url: str, method: str, options: RequestOptions) -> HttpResponse:
        # Redirects are not followed: the token would go with the request, wherever that leads.
        own = {"allow_redirects": False, "ssl": self.access.ssl}
        try:
            return await request(method, url, server=server_name, **{**self._with_token(options), **own})
        except RolloutError as error:
            if not _is_refused(error):
                raise
            raise await self._with_reason(server_name, error) from error.__cause__

    async def _with_reason(self, server_name: str, error: RolloutError) -> RolloutError:
        """Return the failure of a call to a server whose certificate was refused, with what is known of that."""
        refused = error.__cause__
        assert isinstance(refused, aiohttp.ClientConnectorCertificateError)
        said, host, port = refused.certificate_error, refused.host, refused.port
        assert isinstance(said, ssl.SSLCertVerificationError)
        assert port is not None
        reason = f"{server_name} can't be called: {await asyncio.to_thread(refusal, said, host, port, self.access)}"
        return RolloutError(error.failure.model_copy(update={"reason": reason}), error.trajectory)

    def _with_token(self, options: RequestOptions) -> RequestOptions:
        """Return the options of a call with the token: as `Authorization`, unless the caller has its own."""
        token = self.access.token
        if token is None:
            return options
        if not options.get("headers") and options.get("auth") is None:
            return {**options, "headers": bearer(token)}
        headers = CIMultiDict(options.get("headers") or {})
        taken = "authorization" in headers or options.get("auth") is not None
        headers.extend({TOKEN_HEADER: token} if taken else bearer(token))
        return {**options, "headers": headers}

    async def _request_over_http(
        self, server_name: str, url_path: str, method: str, options: RequestOptions
    ) -> HttpResponse:
        url = self.base_url(server_name)
        if server_name in self._on_nodes:
            return await self._request_to_node(server_name, url_path, method, options)
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
            if worker_url is None or not _is_gone(error):
                raise
        workers.leave_out(worker_url)  # it is not started any more: the others take over
        return await self._send(server_name, url + url_path, method, options)

    async def _request_to_node(
        self, server_name: str, url_path: str, method: str, options: RequestOptions
    ) -> HttpResponse:
        session_id = session_id_of(server_name, options.get("headers") or {}, options.get("cookies") or {})
        book = self._address_book()
        refused: str | None = None
        while True:
            url = await book.url_for(server_name, session_id, besides=refused)
            try:
                async with book.while_there(server_name, url):
                    return await self._send(server_name, url + url_path, method, options)
            except RolloutError as error:
                if refused is not None or not _is_gone(error):
                    raise
            refused = url  # nobody has seen the call; the head knows, or will know soon, where to go instead

    def _address_book(self) -> AddressBook:
        if self._book is None:
            self._book = AddressBook(self.head_server_config, self.access)
        return self._book


def _is_refused(error: RolloutError) -> bool:
    """Tell whether the certificate of the server was refused."""
    return isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError)


def _is_gone(error: RolloutError) -> bool:
    """Tell whether nobody is at the address of a server any more."""
    return error.failure.kind == "transport_unreachable" and not _is_refused(error)


def _named_by_peer(error: RolloutError) -> RolloutError:
    """A server of the run that hangs up before it answers has died: it was there when the work began."""
    hung_up = isinstance(error.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    if error.failure.kind != "transport_dropped" or not hung_up:
        return error
    return RolloutError(error.failure.model_copy(update={"kind": "server_died"}), error.trajectory)


async def raise_for_status(response: HttpResponse) -> None:
    """Raise the failure that an error answer carries; return on success."""
    if not response.ok:
        raise failure_of(response)


async def get_response_json(response: HttpResponse) -> Any:
    """Return the decoded JSON body of an answer."""
    return orjson.loads(await response.read())
