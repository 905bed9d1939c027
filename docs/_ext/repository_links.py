"""Links from a page of the site to the repository it was built from."""

import os
import re
import subprocess
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_BRANCH = "main"
_GIT_BOUND_S = 10


def repository_url() -> str | None:
    """Return the repository's address on the web, or None: where nothing says it, links lead into the checkout.

    `NEMO_GYM_REPOSITORY_URL` says it, else the remote of the checkout: a fork's site links to the fork.
    """
    if told := os.environ.get("NEMO_GYM_REPOSITORY_URL"):
        return told.removesuffix("/")
    command = ["git", "-C", str(_ROOT), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_BOUND_S, check=False)
    except OSError:
        return None
    found = re.fullmatch(r"(?:https://|git@)(?:[^@/]+@)?([\w.-]+)[:/]([\w./-]+?)(?:\.git)?/?", done.stdout.strip())
    return f"https://{found[1]}/{found[2]}" if found else None


def link(page: str, path: str, view: str = "blob") -> str:
    """Return the link from a page to a file of the repository."""
    if url := repository_url():
        return f"{url}/{view}/{_BRANCH}/{path}" if path else url
    return "../" * (page.count("/") + 2) + (path or "README.md")  # the site is in build/docs
