"""The app of every server: FastAPI's, with sessions, bounds and the error envelope around every route."""

import sys
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.config.errors import ConfigError
from nemo_gym.servers.serving.endpoint import Endpoint
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.errors import error_response
from nemo_gym.servers.serving.handler import Handler
from nemo_gym.servers.serving.metrics.counts import ServerCounts
from nemo_gym.servers.serving.route import ServerRoute
from nemo_gym.servers.sessions.cookie import SessionCookieMiddleware

Headers = list[tuple[bytes, bytes]]
_READ_ONLY = ("GET", "HEAD", "OPTIONS")


class ServerApp(FastAPI):
    """Gives every request its session, and every one that may change something an `Endpoint`.

    It does not matter whether a route comes from the app or from an included router. FastAPI finds the handler, calls
    it, and turns its exceptions into responses. Where a plain POST route has a lean handler, FastAPI's layers are
    left out: they would do nothing for it, and cost more than the work of most tools.

    Args:
        with_sessions: Wraps the app in what puts a session id into the scope.
        policy_of: Gives the policy for a path such as `/verify`.
        options: FastAPI's own.

    Attributes:
        counts: Get every request that an `Endpoint` answers.
    """

    def __init__(
        self,
        *,
        with_sessions: Callable[[ASGIApp], SessionCookieMiddleware],
        policy_of: Callable[[str], EndpointPolicy],
        **options: Any,
    ) -> None:
        # In the place of FastAPI's defaults; an author's own, added later, win.
        handlers: dict[Any, Any] = dict.fromkeys(
            (HTTPException, RequestValidationError, Exception), self._respond_to_error
        )
        super().__init__(redirect_slashes=False, exception_handlers=handlers, **options)
        self.router.route_class = ServerRoute
        self._innermost = Middleware(_EndpointMiddleware, server=self)
        self.user_middleware.append(self._innermost)  # an author's own are inserted before it, and see every request
        self._with_sessions = with_sessions(self._dispatch)
        self._policy_of = policy_of
        self.counts = ServerCounts()
        self._lean_endpoints: dict[str, Endpoint] = {}
        self._num_routes_seen = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        await self._with_sessions(scope, receive, send)

    async def respond_directly(self, scope: Scope, receive: Receive, raw: bytes) -> tuple[Response, Headers] | None:
        """Return the response for a caller in this process, and its headers, without ASGI's messages.

        None when the request has to go through ASGI.
        """
        endpoint = self._lean_endpoint(scope)
        session = self._with_sessions.own_session(scope) if endpoint is not None else None
        if endpoint is None or session is None:
            return None
        scope["session"] = session.values
        scope["app"] = self
        scope["path_params"] = {}
        response = await endpoint.respond(Request(scope, receive), raw)
        return response, response.raw_headers + self._with_sessions.response_headers(session)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._lean_endpoint(scope) if scope["type"] == "http" else None
        if endpoint is None:
            shown = _without_traceback_of_mistakes(send) if scope["type"] == "lifespan" else send
            await super().__call__(scope, receive, shown)
            return
        scope["app"] = self
        scope["path_params"] = {}
        await endpoint(scope, receive, send)

    def _lean_endpoint(self, scope: Scope) -> Endpoint | None:
        if scope["method"] != "POST":
            return None
        if self._num_routes_seen != len(self.router.routes):
            handlers = self._lean_handlers() if self.user_middleware == [self._innermost] else {}
            self._lean_endpoints = {
                path: Endpoint(self._policy_of(path), self, self.counts.of(path), handler=handler)
                for path, handler in handlers.items()
            }
            self._num_routes_seen = len(self.router.routes)
        return self._lean_endpoints.get(scope["path"])

    def _lean_handlers(self) -> dict[str, Handler]:
        found: dict[str, Handler] = {}
        for route in self.router.routes:
            if not isinstance(route, Route) or "{" in route.path:
                break  # it may answer for what comes after it, and only the router can tell
            if isinstance(route, ServerRoute) and route.methods == {"POST"} and route.lean_handler is not None:
                found.setdefault(route.path, route.lean_handler)
        return found

    def endpoint_for(self, scope: Scope, framework: ASGIApp) -> Endpoint | None:
        """Return the endpoint of a request that FastAPI's router answers; None for one that only reads.

        Plain Starlette routes and mounted apps are left to their author, and so is a path that no route has.
        """
        if scope["type"] != "http" or scope["method"] in _READ_ONLY:
            return None
        found = next((route for route in self.router.routes if route.matches(scope)[0] is Match.FULL), None)
        if found is None or isinstance(found, Mount) or type(found) is Route:
            return None
        counts = self.counts.of(getattr(found, "path", "other"))  # as declared: the path itself may be anything
        return Endpoint(self._policy_of(scope["path"]), self, counts, framework=framework)

    async def _respond_to_error(self, request: Request, error: Exception) -> Response:
        return error_response(error, self._policy_of(request.scope["path"]))


class _EndpointMiddleware:
    """Stands between an author's middleware and FastAPI's own way to a handler."""

    def __init__(self, app: ASGIApp, server: ServerApp) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._server.endpoint_for(scope, self._app)
        await (endpoint or self._app)(scope, receive, send)


def _without_traceback_of_mistakes(send: Send) -> Send:
    """Return a `send` that prints a ConfigError raised by a server's `startup` as one in its settings is printed."""

    async def sent(message: Message) -> None:
        error = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and isinstance(error, ConfigError):
            print(error, file=sys.stderr)  # noqa: T201  # read by a person, or by the launcher
            message = {**message, "message": ""}
        await send(message)

    return sent
