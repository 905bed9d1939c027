"""Errors in the form an OpenAI endpoint gives them: `{"error": {message, type, param, code}}`."""

import orjson

# What the published API says for each code, so that clients which look at the code or the text recognise it.
_MESSAGES_BY_CODE = {
    "context_length_exceeded": "Your input exceeds the context window of this model.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
    "rate_limit_exceeded": "Rate limit reached for requests.",
    "invalid_api_key": "Incorrect API key provided.",
}
_DEFAULT_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_TYPES_BY_CODE = {"insufficient_quota": "insufficient_quota", "rate_limit_exceeded": "requests"}


class RequestError(Exception):
    """A request the endpoint refuses; becomes an OpenAI error answer with `status`."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, code=code, message=message, param=param)


def error_body(status: int, *, code: str | None = None, message: str | None = None, param: str | None = None) -> bytes:
    """Return the JSON body of an OpenAI error.

    Args:
        status: HTTP status, 400..599; decides what is not given.
        code: Machine-readable code, e.g. `context_length_exceeded`. None: the usual one of the status, or null.
        message: Text for a person. None: the usual one of the code.
        param: The request parameter at fault. None: null.
    """
    code = code or _DEFAULT_CODES.get(status)
    kind = _TYPES_BY_CODE.get(code or "") or ("server_error" if status >= 500 else "invalid_request_error")
    text = message or _MESSAGES_BY_CODE.get(code or "") or f"Scripted failure with status {status}."
    return orjson.dumps({"error": {"message": text, "type": kind, "param": param, "code": code}})
