"""What a test shows when it calls the servers of a run by itself."""

import json
import urllib.request
from pathlib import Path
from typing import Any


def run_token(home: Path) -> str:
    """Return the token of the one run that is up in a home."""
    (path,) = home.glob("runs/*/token")
    return path.read_text()


def run_headers(home: Path) -> dict[str, str]:
    """Return the headers that let a request in; none for a run with auth=none."""
    has_one = any(home.glob("runs/*/token"))
    return {"authorization": f"Bearer {run_token(home)}"} if has_one else {}


def instances_of(head_port: int, home: Path) -> list[dict[str, Any]]:
    """Return what the head of a run says of every server."""
    url = f"http://127.0.0.1:{head_port}/server_instances"
    with urllib.request.urlopen(urllib.request.Request(url, headers=run_headers(home)), timeout=10) as answer:
        said: list[dict[str, Any]] = json.load(answer)
    return said
