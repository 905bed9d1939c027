"""Passing a request on to the worker that holds its session."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.transport import request
from nemo_gym.wire.failure import RolloutError, failure_body, rollout_error

_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


async def forward(worker_url: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request as the worker at `worker_url` answers it; `session_lost` when that worker is gone."""
    asked = Request(scope, receive)
    query = f"?{asked.url.query}" if asked.url.query else ""
    headers = {name: value for name, value in asked.headers.items() if name not in _OF_ONE_HOP}
    try:
        answer = await request(
            asked.method, f"{worker_url}{asked.url.path}{query}", data=await asked.body(), headers=headers
        )
    except RolloutError as error:
        lost = rollout_error("session_lost", f"the worker that held this session is gone ({error.failure.reason})")
        await JSONResponse(failure_body(lost.failure), lost.failure.status)(scope, receive, send)
        return
    response = Response(answer.body, answer.status)
    response.raw_headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
        if name.lower() not in _OF_ONE_HOP
    ] + [(b"content-length", str(len(answer.body)).encode())]
    await response(scope, receive, send)
