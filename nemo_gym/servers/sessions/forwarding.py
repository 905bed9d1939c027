"""Passing a request on to the worker that holds its session."""

import asyncio

from multidict import CIMultiDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from nemo_gym.servers.http.disconnect import DisconnectWatcher
from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.transport import request
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.token import TOKEN_HEADER
from nemo_gym.wire.failure import RolloutError, failure_body, rollout_error

_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}
_NOT_OURS_TO_ADD = ("accept", "content-type", "user-agent")


async def forward(worker_url: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request as the worker at `worker_url` answers it; `session_lost` when that worker is gone.

    A caller that goes away meanwhile is gone for the worker too.
    """
    caller = DisconnectWatcher(receive)
    try:
        body = await Request(scope, receive).body()
        with caller:
            answer = _passed_back(await _ask(worker_url, scope, body))
    except RolloutError as error:
        lost = rollout_error("session_lost", f"the worker that held this session is gone ({error.failure.reason})")
        answer = JSONResponse(failure_body(lost.failure), lost.failure.status)
    except ClientDisconnect:
        return
    except asyncio.CancelledError:
        if not caller.gone:
            raise
        return
    await answer(scope, receive, send)


async def _ask(worker_url: str, scope: Scope, body: bytes) -> HttpResponse:
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    # Not compressed: our client would unpack it, and what is passed back would not be what its headers say.
    headers = CIMultiDict([("accept-encoding", "identity")])
    for name, value in scope["headers"]:
        if name.decode() not in _OF_ONE_HOP:
            headers.add(name.decode(), value.decode("latin-1"))
    access = RunAccess.in_environment()
    if access.token is not None:
        headers[TOKEN_HEADER] = access.token  # the caller presented it to this server, and the next one asks for it too
    return await request(
        scope["method"],
        worker_url + target.decode(),
        data=body or None,
        headers=headers,
        allow_redirects=False,
        skip_auto_headers=_NOT_OURS_TO_ADD,
        ssl=access.ssl,
    )


def _passed_back(answer: HttpResponse) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
        if name.lower() not in _OF_ONE_HOP
    ] + [(b"content-length", str(len(answer.body)).encode())]
    return response
