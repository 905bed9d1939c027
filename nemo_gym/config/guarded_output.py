"""No log line and no last traceback of this process shows a secret that it knows."""

import logging
import sys
import threading
import traceback
from functools import cache
from types import TracebackType
from typing import Any

from nemo_gym.wire.scrubber import KNOWN_SECRETS


@cache
def guard_output() -> None:
    """Scrub every log record from now on, whoever handles it, and tracebacks that end a thread or the process."""
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
    except Exception:  # arguments that do not fit: logging itself reports it, with the place
        return
    clean = KNOWN_SECRETS.text(message)
    if clean != message:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        _clean_traceback(record)


def _clean_traceback(record: logging.LogRecord) -> None:
    kind, error, trace = record.exc_info  # type: ignore[misc]  # the caller has seen that it is there
    told = _scrubbed(kind, error, trace)
    if told is not None:
        # Without the exception itself: a handler that formats it again would show what was taken out.
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
