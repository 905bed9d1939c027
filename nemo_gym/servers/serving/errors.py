"""The answer for an exception: one envelope, whatever was raised."""

import contextlib
import logging
import secrets
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.wire.failure import AnyKind, Failure, Origin, RolloutError, failure_body, rollout_error
from nemo_gym.wire.http_errors import classify_model_error, kind_of_status
from nemo_gym.wire.scrubber import KNOWN_SECRETS

TOOL_ERROR = "tool_error"

_MAX_SEEN = 1_000
_OURS = (str(Path(__file__).parents[2]), sysconfig.get_paths()["stdlib"])

_log = logging.getLogger("nemo_gym.server")
_seen: dict[str, int] = {}


class FailureResponse(Response):
    """The answer that carries a failure. `kind`: its kind."""

    media_type = "application/json"
    kind = ""


def error_response(error: Exception, policy: EndpointPolicy) -> FailureResponse:
    """Return the answer that carries `error` as a failure; a failure that is one already stays as it is."""
    failure = _failure(error, policy)
    status = error.status_code if isinstance(error, HTTPException) else failure.status
    named = failure.model_copy(
        update={
            "stage": failure.stage or policy.stage,
            "origin": failure.origin or Origin(server=policy.server_name, status=status),
        }
    )
    trajectory = error.trajectory if isinstance(error, RolloutError) else None
    body = orjson.dumps(failure_body(named, detail=_detail(error), trajectory=trajectory), default=_clean_text)
    headers = KNOWN_SECRETS.plain(error.headers) if isinstance(error, HTTPException) and error.headers else None
    response = FailureResponse(body, status, headers)
    response.kind = failure.kind
    return response


def _failure(error: Exception, policy: EndpointPolicy) -> Failure:
    match error:
        case RolloutError():
            return error.failure
        case RequestValidationError():
            reason = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in _detail(error))
            return rollout_error("input_invalid", reason).failure
        case HTTPException():
            return _foreseen(error, policy)
    return _unforeseen(error, policy)


def _detail(error: Exception) -> Any:
    if isinstance(error, RequestValidationError):
        # Without `input`: it repeats the body, which may be a whole trajectory.
        return [{key: d[key] for key in ("type", "loc", "msg")} for d in error.errors()]
    return error.detail if isinstance(error, HTTPException) else None


def _clean_text(value: Any) -> str:
    return KNOWN_SECRETS.text(str(value))


def _foreseen(error: HTTPException, policy: EndpointPolicy) -> Failure:
    status = error.status_code
    kind: AnyKind
    if policy.error_kind.startswith("model_"):
        kind = classify_model_error(status, orjson.dumps({"detail": error.detail}, default=str))[0]
    elif policy.error_kind == TOOL_ERROR and status == 409:
        kind = "input_invalid"  # a clash that the author tells the policy of: only our envelope means a lost session
    else:
        kind = kind_of_status(status, policy.error_kind)
    return rollout_error(kind, _text(error.detail)).failure


def _text(detail: Any) -> str:
    return detail if isinstance(detail, str) else orjson.dumps(detail, default=str).decode()


def _unforeseen(error: Exception, policy: EndpointPolicy) -> Failure:
    request_id = secrets.token_hex(6)
    where = _author_line(error)
    _log_once(error, policy, request_id, where)
    said = f"{type(error).__name__} in {policy.server_name}{f' at {where}' if where else ''}"
    if policy.stage == "verification":
        # Elsewhere the policy may come to read it, and the text of an exception may hint at the reward.
        said += f": {error}"
    reason = f"{said} (its log has the traceback under request {request_id})"
    return rollout_error(policy.error_kind, reason).failure.model_copy(update={"request_id": request_id})


def _log_once(error: Exception, policy: EndpointPolicy, request_id: str, where: str) -> None:
    """Log an error's traceback the first time, then only that it came again: a broken verifier raises every time."""
    key = f"{policy.server_name} {type(error).__name__} {where}"
    _seen[key] = _seen.get(key, 0) + 1
    # Logging itself fails where a handler has closed this process's output; the caller gets its response all the same.
    with contextlib.suppress(Exception):
        if _seen[key] == 1 or len(_seen) > _MAX_SEEN:
            _log.error("request %s failed", request_id, exc_info=error)
        else:
            _log.error(
                "request %s failed: %s again at %s (%d times)", request_id, type(error).__name__, where, _seen[key]
            )


def _author_line(error: Exception) -> str:
    """Return `file.py:line` of the innermost frame outside of installed packages and of this one; "" without one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(_OURS)]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def setup_exception_middleware(app: FastAPI) -> None:
    """Let an app that isn't made by a server of ours answer every exception with our envelope."""
    policy = EndpointPolicy(server_name=app.title)

    async def respond(request: Request, error: Exception) -> Response:
        return error_response(error, policy)

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, respond)


def setup_liveness(app: FastAPI) -> None:
    """Give an app that isn't made by a server of ours `GET /health` and `GET /`."""

    async def alive() -> dict[str, str]:
        return {"status": "ok", "name": app.title}

    for path in ("/health", "/"):
        app.get(path, include_in_schema=False)(alive)
