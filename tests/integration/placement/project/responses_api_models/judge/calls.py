"""Prepared calls of one server by another, in every form the client takes."""

import asyncio
import io
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
from multidict import CIMultiDict
from pydantic import BaseModel

from nemo_gym.server_utils import Deadline, HttpResponse, ServerClient
from nemo_gym.servers.http.retry import TRANSPORT_LIMITS

Call = Callable[[ServerClient, str], Awaitable[HttpResponse | dict[str, Any]]]
CALLS: dict[str, Call] = {}


class Optional(BaseModel):
    given: int
    left_out: int | None = None


def prepared(method: str, path: str, **options: Any) -> Call:
    async def call(client: ServerClient, server: str) -> HttpResponse:
        return await client.request(server_name=server, url_path=path, method=method, **options)

    return call


ONE_SECOND = aiohttp.ClientTimeout(total=1.0)

CALLS |= {
    "json": prepared("POST", "/echo/json", json={"a": [1, None, "ü"]}),
    "model": prepared("POST", "/echo/model", json=Optional(given=1)),
    "bytes": prepared("POST", "/echo/bytes", data=b"\x00\xff"),
    "text": prepared("PUT", "/echo/text", data="grüß"),
    "form": prepared("POST", "/echo/form", data={"a": "1 2", "b": "ü"}),
    "nothing": prepared("POST", "/echo/nothing"),
    "delete": prepared("delete", "/echo/x"),
    "params": prepared("GET", "/echo/params", params={"a": "1 & 2", "n": 3}),
    "pairs": prepared("GET", "/echo/pairs", params=[("a", "1"), ("a", "2")]),
    "query": prepared("GET", "/echo/query?a=1&b=%C3%BC", params={"c": "3"}),
    "quoted": prepared("GET", "/echo/a%20b%2Fc"),
    "headers": prepared("GET", "/echo/h", headers=CIMultiDict([("x-asked", "1"), ("x-asked", "2")])),
    "cookies": prepared("GET", "/echo/c", cookies={"flavour": "vanilla", "size": "2"}),
    "auth": prepared("GET", "/echo/auth", auth=aiohttp.BasicAuth.decode("Basic bWU6cGFzcw==")),
    "timeouts_in_time": prepared("GET", "/echo/t", timeout=ONE_SECOND, ssl=False),
    "redirect": prepared("POST", "/moved", data=b"carried", headers={"content-type": "text/plain"}),
    "stream": prepared("GET", "/drip"),
    "unknown": prepared("POST", "/no_such_route", json={}),
    "wrong_method": prepared("GET", "/note"),
    "stopped": prepared("POST", "/where", json={}, headers={"x-stop": "1"}),
    "brew": prepared("GET", "/brew/earl_grey"),
    "explode": prepared("GET", "/explode"),
    "health": prepared("GET", "/health"),
    "too_long": prepared("GET", "/echo/long", limits=replace(TRANSPORT_LIMITS, max_answer_bytes=10)),
}


def call(function: Call) -> Call:
    CALLS[function.__name__] = function
    return function


async def _seeded(client: ServerClient, server: str) -> dict[str, Any]:
    answer = await client.post(server, "/seed_session", json={})
    return dict(answer.cookies)


async def _hang(client: ServerClient, server: str, **options: Any) -> HttpResponse:
    cookies = await _seeded(client, server)
    return await client.post(server, "/hang", json={}, cookies=cookies, **options)


@call
async def upload(client: ServerClient, server: str) -> HttpResponse:
    form = aiohttp.FormData({"title": "Größe"})
    form.add_field("file", io.BytesIO(b"12345"), filename="five.bin")
    path = "/rooms/a%20room/files/deep/five.bin"
    cookies = await _seeded(client, server)
    return await client.request(server, path, "PUT", params={"loud": "yes"}, data=form, cookies=cookies)


@call
async def timeout_object(client: ServerClient, server: str) -> HttpResponse:
    return await _hang(client, server, timeout=aiohttp.ClientTimeout(total=0.1))


@call
async def timeout_number(client: ServerClient, server: str) -> HttpResponse:
    return await _hang(client, server, timeout=0.1)


@call
async def timeout_of_reading(client: ServerClient, server: str) -> HttpResponse:
    return await _hang(client, server, timeout=aiohttp.ClientTimeout(sock_read=0.1))


@call
async def deadline(client: ServerClient, server: str) -> HttpResponse:
    return await _hang(client, server, deadline=Deadline(0.1, "setting judge.patience_s", "judge_failed"))


@call
async def background(client: ServerClient, server: str) -> dict[str, Any]:
    """What a server does after its answer, and its context variables, don't reach the caller."""
    cookies = await _seeded(client, server)  # all four calls go to one worker
    answers = []
    for label in ("first", "second"):
        answers.append(await (await client.get(server, "/background", params={"label": label}, cookies=cookies)).json())
    # Only now may the work that began with the answers end.
    for label in ("first", "second"):
        await client.get(server, "/go_on", params={"label": label}, cookies=cookies)
    return {"answers": answers}


@call
async def cancelled(client: ServerClient, server: str) -> dict[str, Any]:
    """Be cancelled while the environment works; the test reads its record."""
    label = uuid.uuid4().hex
    cookies = await _seeded(client, server)
    waiting = asyncio.create_task(client.post(server, "/wait", json={"label": label}, cookies=cookies))
    while not await (await client.get(server, "/waiting", params={"label": label}, cookies=cookies)).json():
        await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    return {"label": label, "cancelled": waiting.cancelled()}


@call
async def large(client: ServerClient, server: str) -> dict[str, Any]:
    sent = "ä" * 2_500_000
    answer = await client.post(server, "/echo/large", data=sent)
    echoed = (await answer.json())["body"].encode("latin-1").decode()
    return {"same": echoed == sent}
