"""The floor: the same HTTP calls as one weather rollout, with nothing else.

Raw ASGI apps under uvicorn (uvloop, httptools), aiohttp between them, orjson, no validation, no framework, no cookies.
What a framework adds on top of this is its own cost.

usage: python -m benchmarks.floor.floor_servers agent|resources|model|colocated --port P
           --resources URL --model URL --endpoint URL [--weather TEXT] [--reuse-port]
`colocated` is all three in one process: their calls to each other are function calls, with the bodies still encoded
and decoded at each border, and only the endpoint is reached over HTTP.
"""

import argparse
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
import orjson
import uvicorn

Body = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Work = Callable[[str, Body], Awaitable[Body]]

BACKLOG = 65_535
KEEP_ALIVE_S = 75  # longer than the client keeps a connection: under load it would pick one that is being closed here


class Floor:
    """The work of the three servers; `colocated` tells whether they call each other in memory."""

    def __init__(self, *, resources: str, model: str, endpoint: str, weather: str, colocated: bool) -> None:
        self._resources = resources
        self._model = model
        self._endpoint = endpoint
        self._weather = weather
        self._colocated = colocated
        self._session: aiohttp.ClientSession | None = None

    async def agent(self, path: str, data: Body) -> Body:
        """One rollout for `/run`, the loop alone for `/v1/responses`."""
        if path == "/v1/responses":
            return await self._loop(data)
        await self._to_resources("/seed_session", data)
        response = await self._loop(data["responses_create_params"])
        return await self._to_resources("/verify", data | {"response": response})

    async def resources(self, path: str, data: Body) -> Body:
        """The weather, the reward, and an empty answer for everything else."""
        if path == "/get_weather":
            return {"city": data["city"], "weather_description": self._weather}
        if path == "/verify":
            return data | {"reward": 1.0}
        return {}

    async def model(self, path: str, data: Body) -> Body:
        """Pass the request on to the endpoint."""
        return await self._post(self._endpoint + path, data | {"model": "m"})

    async def _loop(self, params: Body) -> Body:
        items = list(params["input"])
        new: list[Body] = []
        while True:
            answer = await self._to_model("/v1/responses", params | {"input": items + new})
            new += answer["output"]
            calls = [item for item in answer["output"] if item["type"] == "function_call"]
            if not calls:
                return answer | {"output": new}
            for call in calls:
                out = await self._to_resources("/" + call["name"], orjson.loads(call["arguments"]))
                text = orjson.dumps(out).decode()
                new.append({"type": "function_call_output", "call_id": call["call_id"], "output": text})

    async def _to_resources(self, path: str, data: Body) -> Body:
        if self._colocated:
            return await _in_memory(self.resources, path, data)
        return await self._post(self._resources + path, data)

    async def _to_model(self, path: str, data: Body) -> Body:
        if self._colocated:
            return await _in_memory(self.model, path, data)
        return await self._post(self._model + path, data)

    async def _post(self, url: str, data: Body) -> Body:
        headers = {"content-type": "application/json"}
        async with self._client().post(url, data=orjson.dumps(data), headers=headers) as response:
            answer: Body = orjson.loads(await response.read())
            return answer

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
            )
        return self._session


async def _in_memory(work: Work, path: str, data: Body) -> Body:
    out = await work(path, orjson.loads(orjson.dumps(data)))
    answer: Body = orjson.loads(orjson.dumps(out))
    return answer


def asgi_app(work: Work) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """Return the ASGI app that does `work` for each POST; a GET (health) gets an empty object."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await _reply(send, {})
            return
        await _reply(send, await work(scope["path"], orjson.loads(await _body(receive))))

    return app


async def _body(receive: Receive) -> bytes:
    out = b""
    while True:
        message = await receive()
        out += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return out


async def _reply(send: Send, data: Body) -> None:
    body = orjson.dumps(data)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _listener(port: int, *, reuse_port: bool) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:  # several processes on one port: the kernel spreads the connections
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def main() -> None:
    """Serve one kind until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["agent", "resources", "model", "colocated"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--resources", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--weather", default="cold")
    parser.add_argument("--reuse-port", action="store_true")
    a = parser.parse_args()
    floor = Floor(
        resources=a.resources,
        model=a.model,
        endpoint=a.endpoint,
        weather=a.weather,
        colocated=a.kind == "colocated",
    )
    work = floor.agent if a.kind == "colocated" else getattr(floor, a.kind)
    config = uvicorn.Config(
        asgi_app(work),
        log_level="error",
        access_log=False,
        lifespan="off",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    uvicorn.Server(config).run(sockets=[_listener(a.port, reuse_port=a.reuse_port)])


if __name__ == "__main__":
    main()
