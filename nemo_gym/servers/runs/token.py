"""The token of a run: callers that present it may call the run's servers.

The launcher makes it; its servers get it in their environment, commands of the same user read it in the run directory.
Callers elsewhere set NEMO_GYM_RUN_TOKEN, which wins. It is sent to servers of its run and nobody else.
"""

import contextlib
import os

from nemo_gym.config.env_names import RUN_TOKEN_ENV
from nemo_gym.servers.runs.record import RunRecord

TOKEN_HEADER = "x-nemo-gym-token"


def token_in_environment() -> str | None:
    """Return the token that this process was given; None without one."""
    return os.environ.get(RUN_TOKEN_ENV) or None


def token_of(run: RunRecord) -> str | None:
    """Return the token of a run of this home; None when it has none."""
    with contextlib.suppress(OSError):
        return run.token_path.read_text()
    return None


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that carries a token; nothing without one."""
    return {} if token is None else {"authorization": f"Bearer {token}"}
