"""The control surface for tests, `/script/...`: look at what was asked, start over, change the faults."""

from typing import Any
from urllib.parse import parse_qs

import orjson
from pydantic import ValidationError

from responses_api_models.scripted_model.asgi import Receive, Scope, Send, read_body, send_body
from responses_api_models.scripted_model.fault import FAULTS
from responses_api_models.scripted_model.openai_error import RequestError
from responses_api_models.scripted_model.state import EndpointState

CONTROL_PREFIX = "/script/"


async def serve_control(state: EndpointState, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one control request.

    Routes: `GET /script/stats`, `GET /script/requests?last=N`, `POST /script/reset` (counts from 0, configured faults),
    `PUT /script/faults` (a JSON list as in the configuration; holds from the next request on).

    Raises:
        RequestError: No such route, `last` is no number, or the faults are not valid.
    """
    route = f"{scope['method']} {scope['path']}"
    if route == "PUT /script/faults":
        answer = _set_faults(state, await read_body(receive))
    elif route == "GET /script/requests":
        answer = _last_requests(state, scope["query_string"])
    elif route in ("GET /script/stats", "POST /script/reset"):
        if route.startswith("POST"):
            state.reset()
        answer = state.record.stats()
    else:
        raise RequestError(f"No control route {route!r}.", status=404)
    await send_body(send, orjson.dumps(answer))


def _set_faults(state: EndpointState, body: bytes) -> dict[str, Any]:
    try:
        state.faults = FAULTS.validate_json(body)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise RequestError(f"faults: {reasons}", status=422, param="faults") from error
    return {"faults": FAULTS.dump_python(state.faults, mode="json", exclude_unset=True)}


def _last_requests(state: EndpointState, query: bytes) -> dict[str, Any]:
    given = parse_qs(query.decode("latin-1")).get("last", [str(state.settings.keep_requests)])[0]
    if not given.isdecimal():
        raise RequestError(f"'last' must be a number of requests, not {given!r}.", param="last")
    return {"requests": [request.as_json() for request in state.record.last_requests(int(given))]}
