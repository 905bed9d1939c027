"""What an author adds to an app beside tools: middleware, error handlers, routes of other shapes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request, Response
from starlette.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

mark: ContextVar[str] = ContextVar("mark", default="unset")
background_work: dict[str, asyncio.Event] = {}


class Teapot(Exception):
    pass


class CountingMiddleware:
    """Pure ASGI; adds a header to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.calls += 1
                message["headers"] = [*message["headers"], (b"x-counted", str(self.calls).encode())]
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)


def add_plain_routes(app: FastAPI) -> None:
    app.add_middleware(CountingMiddleware)

    @app.middleware("http")
    async def stamp(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.headers.get("x-stop"):
            return JSONResponse({"stopped": True}, 418)
        response = await call_next(request)
        response.headers["x-stamp"] = request.url.path
        return response

    @app.exception_handler(Teapot)
    async def teapot(request: Request, error: Teapot) -> JSONResponse:
        return JSONResponse({"teapot": str(error)}, 418)

    async def brew(request: Request) -> Response:
        raise Teapot(request.path_params["what"])

    async def explode(request: Request) -> Response:
        raise RuntimeError("outside every endpoint")

    async def echo(request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse(
            {
                "method": request.method,
                "path": request.url.path,
                "raw_path": request.scope["raw_path"].decode(),
                "query": request.query_params.multi_items(),
                "cookies": {name: value for name, value in request.cookies.items() if "___" not in name},
                "header": request.headers.getlist("x-asked"),
                "authorization": request.headers.get("authorization"),
                "content_type": request.headers.get("content-type"),
                "host": request.headers.get("host"),
                "body": body.decode("latin-1"),
            }
        )

    async def drip(request: Request) -> StreamingResponse:
        async def parts() -> Any:
            for number in range(3):
                yield f"{number};"

        return StreamingResponse(parts())

    async def background(request: Request) -> Response:
        tasks = BackgroundTasks()
        label, goes_on = request.query_params["label"], asyncio.Event()
        background_work[label] = goes_on
        tasks.add_task(_work_on, label, goes_on)
        return JSONResponse({"mark": mark.get()}, background=tasks)

    async def go_on(request: Request) -> Response:
        background_work.pop(request.query_params["label"]).set()
        return Response()

    async def moved(request: Request) -> RedirectResponse:
        return RedirectResponse("/echo/moved", 307)

    app.router.routes += [
        Route("/brew/{what}", brew),
        Route("/explode", explode),
        Route("/echo/{rest:path}", echo, methods=["GET", "POST", "PUT", "DELETE"]),
        Route("/drip", drip),
        Route("/background", background),
        Route("/go_on", go_on),
        Route("/moved", moved, methods=["GET", "POST"]),
    ]

    @app.put("/rooms/{room}/files/{path:path}")
    async def upload(room: str, path: str, request: Request, loud: bool = False) -> dict[str, Any]:
        content = await request.body()
        return {"room": room, "path": path, "loud": loud, "size": len(content), "has_file": b"five.bin" in content}


async def _work_on(label: str, goes_on: asyncio.Event) -> None:
    mark.set(label)
    await goes_on.wait()
