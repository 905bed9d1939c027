"""Fetching web pages whose addresses a model chose: `fetch`, `FetchPolicy`, `FetchedPage`, `FetchError`.

See docs/sandbox.md, "Pages from outside".
"""

from nemo_gym.outbound.error import FetchError, FetchErrorKind
from nemo_gym.outbound.fetch import FetchedPage, fetch
from nemo_gym.outbound.policy import FetchPolicy

__all__ = ["FetchError", "FetchErrorKind", "FetchPolicy", "FetchedPage", "fetch"]
