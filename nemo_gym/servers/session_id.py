"""Where a request says which session it belongs to: a signed cookie, or the header with which a session is opened."""

from collections.abc import Mapping
from typing import Any

SESSION_ID_KEY = "session_id"
SESSION_ID_HEADER = "x-nemo-gym-session-id"
SESSION_KEPT_HEADER = "x-nemo-gym-session-kept"
SESSION_KEPT_KEY = "kept"
"""Set in `request.session` while seeding, and sent with the answer: "1" from a server that keeps the session, so that
the agent closes it later; "0" from one that never keeps any, so that the agent need not open one."""

_COOKIE_INFIX = "___"


def cookie_name(class_name: str, instance: str) -> str:
    """Return the name of a server's session cookie."""
    return f"{class_name}{_COOKIE_INFIX}{instance}"


def session_id_of(instance: str, headers: Mapping[str, str], cookies: Mapping[str, Any]) -> str | None:
    """Return the session id that a request to `instance` carries, its signature unchecked; None without one."""
    for name, value in cookies.items():
        if name.endswith(_COOKIE_INFIX + instance):
            return str(getattr(value, "value", value)).rpartition(".")[0] or None
    return headers.get(SESSION_ID_HEADER)
