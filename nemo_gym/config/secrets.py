"""Which values are secret, and plain data with those values masked."""

import re
from typing import Any

from nemo_gym.config.keys import KINDS

MASK = "****"

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
_URL_USER = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s@\"']+@")
_URL_QUERY = re.compile(
    r"([?&][^=&\s]*(?:api[_-]?key|token|secret|password|signature)[^=&\s]*=)[^&\s\"']+", re.IGNORECASE
)


def is_secret_key(name: str) -> bool:
    """Tell whether the value under a key of this name must never be shown; case and separators do not matter.

    Secret are names with api_key, token, password, secret, authorization and the like in them. Counts of tokens
    and token ids (`max_tokens`, `num_tokens`, `total_tokens`, `token_ids`, `tokenizer`) are not.
    """
    squashed = re.sub(r"[^a-z0-9]", "", name.lower())
    if any(part in squashed for part in _SECRET_PARTS):
        return True
    words = [word.lower() for word in _WORDS.findall(name)]
    return any("token" in word and "tokeniz" not in word for word in words) and not _COUNT_WORDS.intersection(words)


def mask_text(text: str) -> str:
    """Return the text with credentials inside its URLs (`user:pass@`, `?api_key=`) replaced by "****"."""
    return _URL_QUERY.sub(rf"\1{MASK}", _URL_USER.sub(rf"\1{MASK}@", text))


def mask_secrets(plain: Any) -> Any:
    """Return a deep copy of plain containers in which every secret is "****".

    Masked are all values below a secret key (None, "" and booleans stay, they tell nothing), and credentials in
    URLs anywhere. The name of a server instance or implementation is not a secret key, whatever it is called.
    """
    return _masked(plain, secret=False, keys_are_names=False)


def _masked(value: Any, *, secret: bool, keys_are_names: bool) -> Any:
    if isinstance(value, dict):
        return {key: _masked_entry(key, item, secret, keys_are_names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, secret=secret, keys_are_names=False) for item in value]
    if secret and value not in (None, "") and not isinstance(value, bool):
        return MASK
    return mask_text(value) if isinstance(value, str) else value


def _masked_entry(key: Any, value: Any, secret: bool, is_name: bool) -> Any:
    names_server = is_name or (isinstance(value, dict) and any(kind in value for kind in KINDS))
    secret = secret or (not names_server and is_secret_key(str(key)))
    return _masked(value, secret=secret, keys_are_names=key in KINDS)
