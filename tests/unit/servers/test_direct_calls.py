"""A call between two servers of one process: the same as through ASGI, in everything an app can do."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from fastapi import FastAPI, Request, Response
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer
from nemo_gym.server_utils import SESSION_ID_KEY, Deadline, HttpResponse, RolloutError, ServerClient
from nemo_gym.servers.http.in_memory import request_in_memory

SEEN: ContextVar[str] = ContextVar("seen", default="nothing")
COOKIE = "Desk___desk"


class Desk(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    entered: ClassVar[asyncio.Event]
    ended: ClassVar[asyncio.Event]

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        for handler in (self.whoami, self.later, self.pieces, self.leak, self.give_up, self.hang):
            app.post(f"/{handler.__name__}")(handler)
        return app

    async def verify(self) -> None:
        return None

    async def whoami(self, request: Request) -> dict[str, str]:
        return {"id": request.session[SESSION_ID_KEY]}

    async def later(self) -> Response:
        return Response("now", background=BackgroundTask(self.ended.set))

    async def pieces(self, request: Request) -> Response:
        _ = request.session[SESSION_ID_KEY]

        async def parts() -> AsyncIterator[str]:
            yield "one "
            yield "two"

        return StreamingResponse(parts())

    async def leak(self) -> str:
        SEEN.set("the handler's")
        return "ok"

    async def give_up(self) -> None:
        raise asyncio.CancelledError

    async def hang(self) -> None:
        self.entered.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.ended.set()


def app() -> FastAPI:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="desk")
    return Desk(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()


def through_asgi(inner: ASGIApp) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    return call


@pytest.fixture(params=["direct", "asgi"])
def desk(request: pytest.FixtureRequest) -> ASGIApp:
    Desk.entered, Desk.ended = asyncio.Event(), asyncio.Event()  # of the loop of this test
    return app() if request.param == "direct" else through_asgi(app())


async def ask(desk: ASGIApp, path: str, **options: Any) -> HttpResponse:
    return await request_in_memory(desk, "POST", f"http://127.0.0.1:4000{path}", server="desk", **options)


async def test_a_session_goes_on_with_its_cookie(desk: ASGIApp) -> None:
    first = await ask(desk, "/whoami")
    again = await ask(desk, "/whoami", cookies=first.cookies)
    assert (await first.json()) == (await again.json())
    assert COOKIE in first.cookies
    assert again.cookies[COOKIE].value == first.cookies[COOKIE].value


async def test_a_forged_cookie_is_refused(desk: ASGIApp) -> None:
    answer = await ask(desk, "/whoami", cookies={COOKIE: "somebody.else"})
    assert (answer.status, (await answer.json())["error"]["kind"]) == (409, "session_lost")


async def test_what_goes_on_after_the_answer_is_done(desk: ASGIApp) -> None:
    assert await (await ask(desk, "/later")).text() == "now"
    await Desk.ended.wait()


async def test_an_answer_in_pieces_arrives_whole_and_with_its_session(desk: ASGIApp) -> None:
    answer = await ask(desk, "/pieces")
    assert (await answer.text(), COOKIE in answer.cookies) == ("one two", True)


async def test_what_a_handler_sets_in_its_context_stays_there(desk: ASGIApp) -> None:
    await ask(desk, "/leak")
    assert SEEN.get() == "nothing"


async def test_a_handler_that_cancels_itself_does_not_cancel_its_caller(desk: ASGIApp) -> None:
    assert (await ask(desk, "/give_up")).status == 500


async def test_a_deadline_ends_the_wait_and_the_handler(desk: ASGIApp) -> None:
    with pytest.raises(RolloutError) as late:
        await ask(desk, "/hang", deadline=Deadline(0.02, "setting x", "tool_timeout"))
    assert (late.value.failure.kind, "setting x" in late.value.failure.reason) == ("tool_timeout", True)
    await Desk.ended.wait()


async def test_a_caller_that_is_cancelled_cancels_the_handler(desk: ASGIApp) -> None:
    calling = asyncio.create_task(ask(desk, "/hang"))
    await Desk.entered.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await Desk.ended.wait()


async def test_an_app_with_middleware_of_its_own_is_called_through_it() -> None:
    guarded = app()

    async def stamp(request: Request, call_next: Any) -> Response:
        answer: Response = await call_next(request)
        answer.headers["x-stamp"] = "seen"
        return answer

    guarded.add_middleware(BaseHTTPMiddleware, dispatch=stamp)
    assert (await ask(guarded, "/whoami")).headers["x-stamp"] == "seen"
