"""What a reply of a process of heavy work means: a value, the answer's fault, or a failure."""

import json
import signal
from typing import Any

from nemo_gym.environments.heavy_work.process import Reply
from nemo_gym.environments.heavy_work.settings import HeavyWorkConfig
from nemo_gym.wire.failure import RolloutError, rollout_error


class WorkError(Exception):
    """The function raised; the text names the error."""


class WorkLimitExceeded(WorkError):
    """The function took more CPU time or memory than it may, or crashed its process."""


def value_of(reply: Reply, config: HeavyWorkConfig) -> Any:
    """Return what the function returned.

    Raises:
        WorkLimitExceeded: It took more CPU time or memory than it may, or crashed its process.
        WorkError: It raised.
        RolloutError: It neither computed nor returned in time, or the machine couldn't run it.
    """
    if not reply.line:
        raise _ended_early(reply, config)
    said = json.loads(reply.line)
    if "value" in said:
        return said["value"]
    if "limit" in said:
        raise WorkLimitExceeded(f"more {said['limit']} than it may")
    if "unable" in said:
        raise _unable(reply, said["unable"], said["python"])
    raise WorkError(said["error"])


def refused(config: HeavyWorkConfig) -> RolloutError:
    """Return the failure of a call for which too many wait."""
    reason = f"{config.max_waiting} calls wait for heavy work; raise max_waiting or max_processes"
    return rollout_error("verifier_error", reason)


def stopping() -> RolloutError:
    """Return the failure of a call that comes when the server stops."""
    return rollout_error("verifier_error", "heavy work was asked for while the server stops")


def _unable(reply: Reply, error: str, python: str) -> RolloutError:
    # Never the answer's fault: otherwise a machine that lacks a package would score every answer 0.
    where = f"node {reply.node}" if reply.node else "this machine"
    fix = f": install there, for {python}, what the environment needs" if "No module named" in error else ""
    return rollout_error("verifier_error", f"heavy work can't be done on {where}: {error}{fix}")


def _ended_early(reply: Reply, config: HeavyWorkConfig) -> Exception:
    if reply.timed_out:
        reason = f"heavy work wasn't done within {config.wall_limit_s:g} s (setting wall_limit_s)"
        return rollout_error("verifier_timeout", reason)
    if reply.status == -signal.SIGXCPU:
        return WorkLimitExceeded(f"more than {config.cpu_limit_s:g} s of CPU time")
    if reply.status == -signal.SIGKILL:  # ours when the server stops; or the system's, out of memory
        return rollout_error("verifier_error", "the process of heavy work was killed")
    return WorkLimitExceeded(f"its process ended with status {reply.status}")
