"""Which values are secret, plain data with those values masked, and what this process learns to hide."""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import unquote

from nemo_gym.config.keys import KINDS
from nemo_gym.wire.scrubber import KNOWN_SECRETS, MASK, Scrubber

__all__ = ["MASK", "is_secret_key", "learn_secrets", "mask_secrets", "mask_text", "secret_values"]

Plain = TypeVar("Plain")  # plain containers: dict, list, text, numbers
_SECRET_PARTS = ("apikey", "password", "passwd", "secret", "authorization", "credential", "privatekey", "accesskey")
_COUNT_WORDS = frozenset(
    [
        "tokens",
        "id",
        "ids",
        "max",
        "min",
        "num",
        "number",
        "count",
        "counts",
        "limit",
        "budget",
        "length",
        "len",
        "size",
        "usage",
        "rate",
        "per",
        "total",
    ]
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_URL_USER = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.\-]*://)([^/\s@\"']+)@")
_URL_QUERY = re.compile(
    r"([?&][^=&\s]*(?:api[_-]?key|token|secret|password|signature)[^=&\s]*=)([^&\s\"']+)", re.IGNORECASE
)
# Names and addresses of servers stay readable, even where a placeholder for a key is the same word.
_STRUCTURE = frozenset({"host", "port", "name", "type", "entrypoint", "default_host", "worker_urls"})


def is_secret_key(name: str) -> bool:
    """Tell whether the value under a key of this name must never be shown; case and separators don't matter.

    A name that contains api_key, token, password, secret, authorization or the like is secret. Counts of tokens and
    token ids (`max_tokens`, `num_tokens`, `total_tokens`, `token_ids`, `tokenizer`) are not.
    """
    squashed = re.sub(r"[^a-z0-9]", "", name.lower())
    if any(part in squashed for part in _SECRET_PARTS):
        return True
    words = [word.lower() for word in _WORDS.findall(name)]
    return any("token" in word and "tokeniz" not in word for word in words) and not _COUNT_WORDS.intersection(words)


def mask_text(text: str) -> str:
    """Return the text with credentials inside its URLs (`user:pass@`, `?api_key=`) replaced by "****"."""
    return _URL_QUERY.sub(rf"\1{MASK}", _URL_USER.sub(rf"\1{MASK}@", text))


def mask_secrets(plain: Plain) -> Plain:
    """Return a deep copy of plain containers in which every secret is "****".

    It masks all values below a secret key (except None, "" and booleans, which reveal nothing), credentials in URLs,
    and any secret in `plain` that an interpolation has put into another text. The name of a server instance or
    implementation is never a secret key.
    """
    masked: Plain = _masked(plain, Scrubber(secret_values(plain)), secret=False, keys_are_names=False)
    return masked


def secret_values(plain: Any) -> Iterator[str]:
    """Yield every secret in plain containers as text: what `mask_secrets` finds by its key, and URL credentials."""
    yield from _secrets(plain, secret=False, keys_are_names=False)


def learn_secrets(plain: Mapping[str, Any]) -> None:
    """Make this process hide the secrets in `plain` and in its environment variables from now on."""
    KNOWN_SECRETS.learn(secret_values(plain))
    # A variable such as GOOGLE_APPLICATION_CREDENTIALS holds the path of a file.
    KNOWN_SECRETS.learn(value for name, value in os.environ.items() if is_secret_key(name) and value[:1] not in "/~.")


def _masked(value: Any, known: Scrubber, *, secret: bool, keys_are_names: bool, fixed: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: _masked_entry(key, item, known, secret, keys_are_names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, known, secret=secret, keys_are_names=False, fixed=fixed) for item in value]
    if secret and value not in (None, "") and not isinstance(value, bool):
        return MASK
    if not isinstance(value, str):
        return value
    return mask_text(value if fixed else known.text(value))


def _masked_entry(key: Any, value: Any, known: Scrubber, secret: bool, is_name: bool) -> Any:
    secret = secret or _is_secret_entry(key, value, is_name)
    return _masked(value, known, secret=secret, keys_are_names=key in KINDS, fixed=key in _STRUCTURE)


def _is_secret_entry(key: Any, value: Any, is_name: bool) -> bool:
    names_server = is_name or (isinstance(value, dict) and any(kind in value for kind in KINDS))
    return not names_server and is_secret_key(str(key))


def _secrets(value: Any, *, secret: bool, keys_are_names: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            below = secret or _is_secret_entry(key, item, keys_are_names)
            yield from _secrets(item, secret=below, keys_are_names=key in KINDS)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item, secret=secret, keys_are_names=False)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if secret and "${" not in text:
            yield text
        yield from _url_credentials(text)


def _url_credentials(text: str) -> Iterator[str]:
    for match in _URL_USER.finditer(text):
        user_and_password = match.group(2)
        yield user_and_password
        yield unquote(user_and_password)
        yield user_and_password.partition(":")[2]
        yield unquote(user_and_password.partition(":")[2])
    for match in _URL_QUERY.finditer(text):
        yield match.group(2)
        yield unquote(match.group(2))


@cache
def guard_output() -> None:
    """Scrub every log record from now on, whatever handles it, and tracebacks that end a thread or the process."""
    # Where records are made, and not at a handler: uvicorn and others bring handlers of their own, later.
    make_record = logging.getLogRecordFactory()

    def make_clean_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        _clean(record)
        return record

    logging.setLogRecordFactory(make_clean_record)
    _guard_process()
    _guard_threads()


def _clean(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # arguments that don't fit the format: logging itself reports it, with the place
        return
    clean = KNOWN_SECRETS.text(message)
    if clean != message:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        _clean_traceback(record)


def _clean_traceback(record: logging.LogRecord) -> None:
    told = _scrubbed(*(record.exc_info or (None, None, None)))
    if told is not None:
        # Without the exception itself: a handler that formats it again would show the secret.
        record.exc_text, record.exc_info = told.rstrip("\n"), None


def _scrubbed(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str | None:
    """Return the traceback without secrets; None where there is none in it."""
    text = "".join(traceback.format_exception(kind, error, trace))
    clean = KNOWN_SECRETS.text(text)
    return clean if clean != text else None


def _guard_process() -> None:
    show = sys.excepthook

    def show_clean(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        clean = _scrubbed(kind, error, trace)
        if clean is None:
            show(kind, error, trace)
        else:
            sys.stderr.write(clean)

    sys.excepthook = show_clean


def _guard_threads() -> None:
    show = threading.excepthook

    def show_clean(end: threading.ExceptHookArgs) -> None:
        clean = _scrubbed(end.exc_type, end.exc_value, end.exc_traceback)
        if clean is None:
            show(end)
        else:
            name = end.thread.name if end.thread is not None else "unknown"
            sys.stderr.write(f"Exception in thread {name}:\n{clean}")

    threading.excepthook = show_clean
