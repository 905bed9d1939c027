"""Base URLs: every key that ends in `base_url` holds an http or https URL, or a list of them."""

import re
from typing import Any
from urllib.parse import urlsplit

from nemo_gym.config.errors import Mistake
from nemo_gym.config.reading.interpolation import Finding, Resolved, leaves
from nemo_gym.config.reading.merged import KeyPath, MergedConfig, dotted
from nemo_gym.config.secrets import mask_text

_KEY_END = "base_url"
_ONE_BASE_URL = re.compile(rf"\$\{{\s*[\w.\-]*{_KEY_END}\s*\}}", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.\-]+(:\d+)?(/.*)?|\[[\da-fA-F:]+\](:\d+)?(/.*)?")


def check_urls(resolved: Resolved, merged: MergedConfig) -> list[Finding]:
    """Return the base URLs that no client could call; empty and absent ones are left to their reader."""
    return [
        Finding(_mistake(str(value), path, merged), (path,))
        for path, value in leaves(resolved.values, ())
        if _names_base_url(path) and _is_wrong(value) and not _is_reported_elsewhere(path, merged)
    ]


def _names_base_url(path: KeyPath) -> bool:
    names = [part for part in path if isinstance(part, str)]
    return bool(names) and names[-1].lower().endswith(_KEY_END)


def _is_wrong(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return False
    try:
        parts = urlsplit(str(value))
        return parts.scheme not in ("http", "https") or not parts.hostname
    except ValueError:  # brackets that hold no IPv6 address
        return True


def _is_reported_elsewhere(path: KeyPath, merged: MergedConfig) -> bool:
    """Whether the value only refers to another base URL, which has its own mistake."""
    written: Any = merged.values
    for part in path:
        if isinstance(written, str):
            break
        written = written[part]
    return isinstance(written, str) and _ONE_BASE_URL.fullmatch(written) is not None


def _mistake(value: str, path: KeyPath, merged: MergedConfig) -> Mistake:
    shown = mask_text(value)
    name = dotted(path[-2:]) if isinstance(path[-1], int) else path[-1]
    if value.lower().startswith(("http://", "https://")):
        return Mistake(f"{name} is '{shown}', a URL without a host", merged.where(*path), fix="write http://<host>/...")
    fix = f"write http://{shown}" if _ADDRESS.fullmatch(value) else "write http://<host>:<port>/..."
    what = f"{name} is '{shown}', which doesn't start with http:// or https://"
    return Mistake(what, merged.where(*path), fix=fix)
