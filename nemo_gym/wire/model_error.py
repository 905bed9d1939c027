"""What a model endpoint's error answer means, read from its status and its body in OpenAI's error form."""

import re
from typing import Any

import orjson

from nemo_gym.wire.scrubber import KNOWN_SECRETS

_OVERFLOW = re.compile(
    r"context[ _](length|window)|maximum context|too many tokens|exceeds? the (available )?context", re.IGNORECASE
)
_MAX_MESSAGE_CHARS = 500
_MAX_BYTES_READ = 65_536


def classify_model_error(status: int, body: bytes) -> tuple[str, str]:
    """Return failure kind and message of an error answer (status >= 400); the message is short and without secrets."""
    code, message = _code_and_message(body)
    if "context_length_exceeded" in code or (status in (400, 413, 422) and _OVERFLOW.search(message)):
        return "context_length_exceeded", message
    if status == 429:
        return ("model_quota_exhausted" if "insufficient_quota" in code else "model_rate_limited"), message
    if status in (401, 403):
        return "model_auth", message
    if status >= 500 or status == 408:
        return "model_unavailable", message
    return "model_bad_request", message


def _code_and_message(body: bytes) -> tuple[str, str]:
    try:
        decoded: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", _shown(body[:_MAX_BYTES_READ].decode("utf-8", "replace"))
    error = decoded.get("error") or decoded.get("detail") or decoded if isinstance(decoded, dict) else decoded
    if not isinstance(error, dict):
        return "", _shown(str(error))
    code = f"{error.get('code') or ''} {error.get('type') or ''}"
    return code, _shown(str(error.get("message") or error))


def _shown(message: str) -> str:
    return KNOWN_SECRETS.cut(message, _MAX_MESSAGE_CHARS)
