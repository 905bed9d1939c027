"""Which level programs get: what the run requires, what this machine can do, and which Python runs them there."""

import logging
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from nemo_gym.config.env_names import CONFIG_FILE_ENV, NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.config.keys import REQUIRE_SANDBOX_KEY_NAME
from nemo_gym.config.reading.yaml_file import load_trusted_yaml
from nemo_gym.sandbox import bubblewrap
from nemo_gym.sandbox.allocation import unused_user_id
from nemo_gym.sandbox.filesystem import SYSTEM_PYTHONS, FilesystemView
from nemo_gym.sandbox.interface import NOT_ENFORCED, RequiredLevel, SandboxError, SandboxLevel, SandboxUnavailable

_PROBE_TIMEOUT_S = 20.0
_log = logging.getLogger("nemo_gym.sandbox")


def granted_level(wanted: RequiredLevel, view: FilesystemView) -> SandboxLevel:
    """Return the level that programs get on this machine, and log it once in a process. Blocks the first time.

    Args:
        wanted: What the environment's author asks for; the run's `require_sandbox` counts instead where it is set.
        view: What programs are to see.

    Raises:
        SandboxUnavailable: It is less than the required one.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxUnavailable(f"model-written code runs only on Linux, not on {sys.platform}")
    reason = bubblewrap.why_no_namespaces(view)
    if reason is not None and _required_level(wanted) == "strict":
        raise SandboxUnavailable(
            f"model-written code is to run in namespaces (strict), but {reason}\n  fix: {bubblewrap.INSTALL}, "
            f"or let it run with resource limits alone: best_effort (for a whole run: "
            f"+{REQUIRE_SANDBOX_KEY_NAME}=best_effort); then {NOT_ENFORCED['rlimits']}"
        )
    level: SandboxLevel = "namespaces" if reason is None else "rlimits"
    log_level_once(level)
    return level


def python_for_programs(level: SandboxLevel, view: FilesystemView) -> str:
    """Return the interpreter that runs programs at this level. Blocks the first time.

    Raises:
        SandboxError: Programs run as a user who can't run it, and no other one will do.
    """
    if level == "namespaces" or os.geteuid() != 0:
        return view.python
    candidates = (view.python,) if view.python_is_chosen else (view.python, *SYSTEM_PYTHONS)
    for python in candidates:
        if _runs_for_other_users(python):
            return python
    raise SandboxError(
        f"{view.python} cannot be run by other users, and without namespaces root's programs run as one\n"
        f"  fix: {bubblewrap.INSTALL}, or name an interpreter that every user can run, with its library: "
        "Sandbox(python='/usr/bin/python3')"
    )


@cache
def log_level_once(level: SandboxLevel) -> None:
    """Log, once in a process, what stands between model-written code and this machine."""
    gaps = f": {NOT_ENFORCED[level]}" if NOT_ENFORCED[level] else ""
    _log.warning("model-written code runs at sandbox level %s%s", level, gaps)  # below `warning` it would not be shown


@cache
def _runs_for_other_users(python: str) -> bool:
    with unused_user_id() as user:
        try:
            # Only a try tells: the library, a mount option or a security module may be closed to them as well.
            tried = subprocess.run(
                [python, "-I", "-S", "-c", ""],
                cwd="/",
                env={},
                user=user,
                group=user,
                extra_groups=[],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_TIMEOUT_S,
            )
        except OSError:
            return False
        except subprocess.TimeoutExpired:
            raise SandboxError(f"{python} did not start within {_PROBE_TIMEOUT_S:g} s") from None
    return tried.returncode == 0


def _required_level(wanted: RequiredLevel) -> RequiredLevel:
    return _level_of_run(_configuration()) or wanted


def _configuration() -> str:
    text, path = (os.environ.get(name, "") for name in (NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, CONFIG_FILE_ENV))
    # An OSError passes: without the file nobody knows what the run demands.
    return text if text or not path else Path(path).read_text(encoding="utf-8")


@cache
def _level_of_run(config: str) -> RequiredLevel | None:
    values = load_trusted_yaml(config) if REQUIRE_SANDBOX_KEY_NAME in config else None
    return values.get(REQUIRE_SANDBOX_KEY_NAME) if isinstance(values, dict) else None
