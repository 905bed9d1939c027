"""A run as other processes see it: which there are, how its servers are, how to stop it."""

import contextlib
import os
import signal
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psutil

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.run_directory import remove_secrets
from nemo_gym.servers.http.head_lookup import get_json
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import RunRecord, ServerInstanceState, live_run_on, live_runs
from nemo_gym.servers.runs.refusal import certificate_mistake

_ANSWER_S = 2.0
_POLL_S = 0.05
_MARGIN_S = 2.0  # beyond the launcher's own stop budget, before it counts as stuck


def chosen_runs(port: int | None) -> list[RunRecord]:
    """Return the live runs of this machine's home, or the one whose head has `port`; ConfigError when none has."""
    if port is None:
        return [record for record, _ in live_runs()]
    run = live_run_on(port)
    if run is None:
        known = [f"{record.head_port} ({record.run_id})" for record, _ in live_runs()]
        raise ConfigError(Mistake(f"no run has its head on port {port}", where="head_server.port", known=known))
    return [run[0]]


def instances_of(record: RunRecord) -> list[ServerInstanceState] | None:
    """Return the servers of a run as its head reports them; None when the head doesn't answer (yet).

    Raises:
        ConfigError: The certificate of the head is refused.
    """
    access = RunAccess.to_run(record)
    try:
        answer = get_json(f"{record.head_url}/server_instances", access, _ANSWER_S)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise ConfigError(certificate_mistake(reason, record.head_host, record.head_port, access)) from error
        return None
    return [ServerInstanceState.model_validate(item) for item in answer]


def answering(record: RunRecord, instances: Sequence[ServerInstanceState]) -> list[bool]:
    """Ask every server of a run for its health, all at once; tell which answered within two seconds, in order."""
    access = RunAccess(ca=record.ca or None)
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(instances)))) as askers:
        return list(askers.map(lambda instance: _answers(f"{instance.url}/health", access), instances))


def stop_run(record: RunRecord) -> bool:
    """Stop a run: ask its launcher, and when it doesn't end in time, kill it and its servers.

    Returns:
        True when the launcher ended by itself, False when it had to be killed.
    """
    if not record.is_alive:
        return True
    launcher = psutil.Process(record.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        launcher.terminate()
    deadline = time.monotonic() + record.stop_timeout_s + _MARGIN_S
    while record.is_alive:
        if time.monotonic() > deadline:
            _kill(launcher)
            remove_secrets(record.token_path.parent)
            return False
        time.sleep(_POLL_S)
    return True


def _kill(launcher: psutil.Process) -> None:
    servers = launcher.children()
    launcher.kill()
    for server in servers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(server.pid) == server.pid:  # every server leads its own group
                os.killpg(server.pid, signal.SIGKILL)
    psutil.wait_procs([launcher, *servers], timeout=_MARGIN_S)


def _answers(url: str, access: RunAccess) -> bool:
    try:
        return get_json(url, access, _ANSWER_S) is not None
    except (OSError, ValueError):
        return False
