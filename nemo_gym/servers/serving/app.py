"""The app of every server: FastAPI's, with a direct way to the plain POST routes."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.servers.serving.endpoint import Endpoint
from nemo_gym.servers.sessions.cookie import SessionCookieMiddleware

Headers = list[tuple[bytes, bytes]]


class ServerApp(FastAPI):
    """Gives every request its session, then calls the endpoint of its path.

    A POST to a fixed path with a lean handler goes straight to its `Endpoint`, past FastAPI's layers of middleware and
    routing, which cost more than the work of most tools and do nothing for it: an `Endpoint` answers its own errors.
    Everything else, and every request to an app that was given middleware of its own, takes FastAPI's way.

    Args:
        with_sessions: Wraps the app in what puts a session id into the scope.
        options: FastAPI's own.
    """

    def __init__(self, *, with_sessions: Callable[[ASGIApp], SessionCookieMiddleware], **options: Any) -> None:
        super().__init__(**options)
        self._with_sessions = with_sessions(self._dispatch)
        self._endpoints: dict[str, Endpoint] = {}
        self._num_routes_seen = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._with_sessions(scope, receive, send)

    async def answer_directly(self, scope: Scope, receive: Receive, raw: bytes) -> tuple[Response, Headers] | None:
        """Return the answer for a caller in this process, and its headers: no messages to and fro.

        None when the request has to take the way of ASGI.
        """
        endpoint = self._direct_endpoint(scope)
        visit = self._with_sessions.own_session(scope) if endpoint is not None else None
        if endpoint is None or visit is None:
            return None
        scope["session"] = visit.session
        scope["app"] = self
        scope["path_params"] = {}
        answer = await endpoint.answer(Request(scope, receive), raw)
        return answer, answer.raw_headers + self._with_sessions.answer_headers(visit)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._direct_endpoint(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        scope["path_params"] = {}
        await endpoint(scope, receive, send)

    def _direct_endpoint(self, scope: Scope) -> Endpoint | None:
        if scope["method"] != "POST":
            return None
        if self._num_routes_seen != len(self.router.routes):
            self._endpoints = {} if self.user_middleware else self._plain_posts()
            self._num_routes_seen = len(self.router.routes)
        return self._endpoints.get(scope["path"])

    def _plain_posts(self) -> dict[str, Endpoint]:
        found: dict[str, Endpoint] = {}
        for route in self.router.routes:
            if not isinstance(route, Route) or "{" in route.path:
                break  # it may answer for what comes after it, and only the router can tell
            is_post = isinstance(route, APIRoute) and route.methods == {"POST"}
            if is_post and isinstance(route.app, Endpoint) and route.app.is_lean:
                found.setdefault(route.path, route.app)
        return found
