"""A call in memory: what the app sees, what the caller gets, and what neither takes from the other."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import aiohttp
import orjson
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from nemo_gym.server_utils import Deadline, HttpResponse, RolloutError
from nemo_gym.servers.http.in_memory import request_in_memory

URL = "http://127.0.0.1:4000"
Handle = Callable[[Request], Awaitable[Response]]


def app_of(handle: Handle) -> Starlette:
    return Starlette(routes=[Route("/{path:path}", handle, methods=["GET", "POST", "PUT"])])


async def ask(handle: Handle, path: str = "/x", method: str = "POST", **options: Any) -> HttpResponse:
    return await request_in_memory(app_of(handle), method, URL + path, server="quiz", **options)


async def see(request: Request) -> Response:
    body = (await request.body()).decode("utf-8")
    seen = {"path": request.url.path, "query": request.query_params.multi_items(), "body": body}
    return JSONResponse({**seen, "url": str(request.url), "type": request.headers.get("content-type")})


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        pytest.param({"json": {"a": 1}}, '{"a":1}', "application/json", id="json"),
        pytest.param({"json": {"a": 1}, "headers": {"Content-Type": "x/y"}}, '{"a":1}', "application/json", id="both"),
        pytest.param({"data": b"raw"}, "raw", "application/octet-stream", id="bytes"),
        pytest.param({"data": b"raw", "headers": {"content-type": "x/y"}}, "raw", "x/y", id="own-type"),
        pytest.param({"data": "ü"}, "ü", "text/plain; charset=utf-8", id="text"),
        pytest.param({"data": {"a": "1 2"}}, "a=1+2", "application/x-www-form-urlencoded", id="form"),
        pytest.param({}, "", None, id="nothing"),
    ],
)
async def test_the_body_arrives_with_its_type(options: dict[str, Any], body: str, content_type: str | None) -> None:
    seen = await (await ask(see, **options)).json()
    assert (seen["body"], seen["type"]) == (body, content_type)


async def test_path_and_query_are_read_as_behind_a_socket() -> None:
    seen = await (await ask(see, "/a%20b?q=1", params=[("q", "2"), ("r", "ü")])).json()
    assert seen["path"] == "/a b"
    assert seen["query"] == [["q", "1"], ["q", "2"], ["r", "ü"]]
    assert seen["url"].startswith("http://127.0.0.1:4000/")


@pytest.mark.parametrize("timeout", [0.02, aiohttp.ClientTimeout(total=0.02), aiohttp.ClientTimeout(sock_read=0.02)])
async def test_the_timeout_of_aiohttp_bounds_the_call_and_cancels_the_handler(timeout: Any) -> None:
    cancelled = asyncio.Event()

    async def hang(_: Request) -> Response:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Response()

    with pytest.raises(RolloutError) as late:
        await ask(hang, timeout=timeout)
    assert late.value.failure.kind == "transport_timeout"
    await cancelled.wait()


async def test_the_deadline_names_its_setting() -> None:
    async def hang(_: Request) -> Response:
        await asyncio.sleep(60)
        return Response()

    with pytest.raises(RolloutError, match=r"verifier_timeout: quiz .* within 0.02 s \(setting a.b\)"):
        await ask(hang, deadline=Deadline(0.02, "setting a.b", "verifier_timeout"))


async def test_cancelling_the_caller_cancels_the_handler() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(_: Request) -> Response:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return Response()

    call = asyncio.create_task(ask(hang))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await cancelled.wait()


async def test_a_handler_that_is_cancelled_by_itself_is_a_500_and_no_cancellation_of_the_caller() -> None:
    async def cancels(_: Request) -> Response:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
        return Response()

    assert (await ask(cancels)).status == 500


async def test_an_exception_that_nobody_caught_is_a_500() -> None:
    async def raises(_: Request) -> Response:
        raise RuntimeError("unforeseen")

    answer = await ask(raises)
    assert (answer.status, answer.body) == (500, b"Internal Server Error")


async def test_an_app_that_ends_in_the_middle_of_its_answer_is_dropped() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ha", "more_body": True})

    with pytest.raises(RolloutError, match="transport_dropped: quiz ended in the middle"):
        await request_in_memory(half, "GET", f"{URL}/x", server="quiz")


async def test_work_after_the_answer_does_not_delay_the_caller() -> None:
    may_end, done = asyncio.Event(), asyncio.Event()

    async def later() -> None:
        await may_end.wait()
        done.set()

    async def answer_first(_: Request) -> Response:
        return Response(background=BackgroundTask(later))

    assert (await ask(answer_first)).ok
    may_end.set()
    await done.wait()


async def test_context_variables_of_the_handler_stay_there() -> None:
    mark: ContextVar[str] = ContextVar("mark", default="the caller's")

    async def sets(_: Request) -> Response:
        mark.set("the handler's")
        return Response(mark.get())

    assert (await ask(sets)).body == b"the handler's"
    assert mark.get() == "the caller's"


async def test_no_object_is_shared_with_the_handler() -> None:
    sent = {"list": [1]}

    async def changes(request: Request) -> Response:
        body = orjson.loads(await request.body())
        body["list"].append(2)
        return JSONResponse(body)

    assert await (await ask(changes, json=sent)).json() == {"list": [1, 2]}
    assert sent == {"list": [1]}
