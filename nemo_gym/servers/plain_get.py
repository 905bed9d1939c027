"""One small synchronous GET of JSON from a server of ours, not worth the import of a larger client."""

import json
import urllib.request
from typing import Any

from nemo_gym.servers.run_token import bearer


def get_json(url: str, token: str | None, timeout_s: float) -> Any:
    """Return the decoded answer.

    The token goes to this address alone: not along a redirect, and not to a proxy that the environment names.

    Raises:
        OSError: There is none; urllib's HTTPError for an error status.
        ValueError: It is no JSON.
    """
    asked = urllib.request.Request(url)
    for name, value in bearer(token).items():
        asked.add_unredirected_header(name.title(), value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=timeout_s) as answer:
        return json.load(answer)
