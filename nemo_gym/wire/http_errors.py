"""What an error answer means where no failure of ours comes with it: read from its status and its body."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from nemo_gym.wire.failure import AnyKind, FailureKind
from nemo_gym.wire.scrubber import KNOWN_SECRETS

# Of the statuses that say "your request", these say something else: who asks, how long it took, or a clash.
_NOT_ABOUT_THE_INPUT = frozenset({401, 407, 408, 409, 425, 429})


def kind_of_status(status: int, otherwise: AnyKind) -> AnyKind:
    """Return the failure kind of an HTTP status >= 400; `otherwise` where the status alone does not tell."""
    return "input_invalid" if 400 <= status < 500 and status not in _NOT_ABOUT_THE_INPUT else otherwise


_OVERFLOW = re.compile(
    r"context[ _](length|window)|maximum (context|model length)|too many tokens|exceeds? the (available )?context",
    re.IGNORECASE,
)
_MAX_MESSAGE_CHARS = 500
_MAX_BYTES_READ = 65_536


def classify_model_error(status: int, body: bytes) -> tuple[FailureKind, str]:
    """Return failure kind and message of an error answer (status >= 400); the message is short and without secrets."""
    code, message = _code_and_message(body)
    if "context_length_exceeded" in code or (status in (400, 413, 422) and _OVERFLOW.search(message)):
        return "context_length_exceeded", message
    if "content_filter" in code:
        return "model_content_filter", message
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
    return code, _shown(str(error.get("message") or error.get("reason") or error))


def _shown(message: str) -> str:
    return KNOWN_SECRETS.cut(message, _MAX_MESSAGE_CHARS)


def unfinished_response(status: str | None, error: Mapping[str, Any] | None) -> tuple[FailureKind, str] | None:
    """Return failure kind and reason of a 200 whose Response isn't an answer; None when it is one.

    Args:
        status: Of the Response; None, `completed` and `incomplete` are answers.
        error: Of a Response whose status is `failed`: `code` and `message`.

    Source:
        https://platform.openai.com/docs/api-reference/responses/object, `status` and `error.code`
    """
    if status in (None, "completed", "incomplete"):
        return None
    code, message = str((error or {}).get("code") or ""), _shown(str((error or {}).get("message") or ""))
    reason = f"the Response has status {status!r}" + (f": {code} {message}".rstrip() if error else "")
    if code == "rate_limit_exceeded":
        return "model_rate_limited", reason
    is_request = code.startswith(("invalid_", "unsupported_", "image_", "empty_image", "failed_to_download"))
    return ("model_bad_request" if is_request else "model_unavailable"), reason
