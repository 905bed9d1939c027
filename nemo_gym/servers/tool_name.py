"""Which names of tools may become a path: everything else stays a word that is only compared."""

import re

from nemo_gym.servers.reserved_paths import RESERVED_PATHS

MORE_TOOLS_HEADER = "x-nemo-gym-more-tools"
"""With `GET /tools`: "1" from an environment that has tools beyond the list, behind a route like `/{tool}`."""

_ONE_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_tool_name(name: str) -> bool:
    """Tell whether `/<name>` is one path segment, needs no escape, and is none of a resources server's own routes."""
    return _ONE_PATH_SEGMENT.fullmatch(name) is not None and f"/{name}" not in RESERVED_PATHS
