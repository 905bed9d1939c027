"""The answer for an exception: one envelope, whatever was raised."""

import logging
import secrets
from typing import Any

import orjson
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.wire.failure import Failure, Origin, RolloutError, failure_body, rollout_error
from nemo_gym.wire.http_errors import classify_model_error, kind_of_status
from nemo_gym.wire.scrubber import KNOWN_SECRETS

_log = logging.getLogger("nemo_gym.server")


def error_response(error: Exception, policy: EndpointPolicy) -> Response:
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
    return Response(body, status, headers, media_type="application/json")


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
    if policy.error_kind.startswith("model_"):
        kind = classify_model_error(error.status_code, orjson.dumps({"detail": error.detail}, default=str))[0]
    else:
        kind = kind_of_status(error.status_code, policy.error_kind)
    return rollout_error(kind, str(error.detail)).failure


def _unforeseen(error: Exception, policy: EndpointPolicy) -> Failure:
    request_id = secrets.token_hex(6)
    # The text of an exception may hold secrets or hints at the reward: it stays in the log.
    _log.error("request %s failed", request_id, exc_info=error)
    reason = f"{type(error).__name__} in {policy.server_name}; its log has the traceback under request {request_id}"
    return rollout_error(policy.error_kind, reason).failure.model_copy(update={"request_id": request_id})
