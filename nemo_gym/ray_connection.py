"""The connection of this process to Ray: an existing cluster, or one started on this machine, which takes seconds."""

import contextlib
import importlib.util
import logging
import os
import shutil
import socket
import ssl
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nemo_gym.config.env_names import RAY_ADDRESS_ENV, RAY_NAMESPACE_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import RAY_HEAD_NODE_ADDRESS_KEY_NAME
from nemo_gym.global_config import get_global_config_dict
from nemo_gym.servers.runs.record import started_at

_WHERE = RAY_HEAD_NODE_ADDRESS_KEY_NAME
_CONNECT_S = 5.0
_AUTH_MODE_ENV = "RAY_AUTH_MODE"  # which Ray sets itself, to "token" for a cluster that it starts here
_NO_TRACE_ENV = "RAY_DISABLE_FAILURE_SIGNAL_HANDLER"  # or SIGTERM, an ordinary end, prints the stack of the process
_AUTO = "auto"
_SESSIONS = "nemo_gym_ray"
_NAMESPACE_PREFIX = "nemo_gym-"


@dataclass(frozen=True)
class Connection:
    """How this process is connected.

    Attributes:
        gcs_address: `host:port` of the cluster's head.
        own_host: Address of this machine on the cluster's network.
        namespace: Holds the named actors of the run.
        is_ours: Connected here, so `leave` ends it; False where the program was connected already.
    """

    gcs_address: str
    own_host: str
    namespace: str
    is_ours: bool

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that lead another process to the same cluster."""
        how = {_AUTH_MODE_ENV: os.environ[_AUTH_MODE_ENV]} if _AUTH_MODE_ENV in os.environ else {}
        return {RAY_ADDRESS_ENV: self.gcs_address, RAY_NAMESPACE_ENV: self.namespace, **how}

    def leave(self) -> None:
        """End the connection, the actors that this process made, and a cluster that was started here."""
        if self.is_ours:
            import ray

            ray.shutdown()
            shutil.rmtree(_session_folder(), ignore_errors=True)


def initialize_ray() -> None:
    """Connect this process to the cluster of its run, or start one on this machine; nothing when already connected.

    Raises:
        ConfigError: Ray isn't installed, or there is no cluster at the address.
    """
    connect(get_global_config_dict().get(RAY_HEAD_NODE_ADDRESS_KEY_NAME), os.environ.get(RAY_NAMESPACE_ENV))


def connect(address: str | None, namespace: str | None) -> Connection:
    """Connect this process to Ray.

    Args:
        address: `host:port` of a cluster's head; "auto" for the one that runs on this machine; None for that of
            RAY_ADDRESS, else one that is started here and ends with this process.
        namespace: For named actors.

    Raises:
        ConfigError: Ray isn't installed; no cluster answers; or it has another version of Ray or Python.
    """
    require_installed()
    os.environ.setdefault(_NO_TRACE_ENV, "1")  # which is read by the import
    import ray

    is_ours = not is_connected()
    if is_ours:
        address = address or os.environ.get(RAY_ADDRESS_ENV)
        if address not in (None, _AUTO):
            _check_answers(str(address))
        _initialize(address, namespace)
    context = ray.get_runtime_context()
    own_host = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    return Connection(str(context.gcs_address), own_host, str(context.namespace), is_ours)


def require_installed() -> None:
    """Raise ConfigError when Ray isn't installed, which is found out without loading it."""
    if importlib.util.find_spec("ray") is None:
        fix = "pip install 'ray>=2.40'"
        raise ConfigError(Mistake("this run needs Ray, which isn't installed", where="ray_enabled, placement", fix=fix))


def is_connected() -> bool:
    """Tell whether this process is connected to Ray, which then found a cluster for us."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def run_namespace(run_id: str) -> str:
    """Return the namespace of a run."""
    return _NAMESPACE_PREFIX + run_id


def is_namespace_of_a_run(namespace: str) -> bool:
    """Tell whether a namespace of a cluster belongs to a run of ours."""
    return namespace.startswith(_NAMESPACE_PREFIX)


def _initialize(address: str | None, namespace: str | None) -> None:
    import ray

    options: dict[str, Any] = {"address": address} if address else _local_options()
    _keep_quiet(ray)
    try:
        # A process of the run must not print Ray's own news; what matters comes as an exception.
        ray.init(namespace=namespace, log_to_driver=False, logging_level=logging.ERROR, **options)
    except ConnectionError as error:
        what = f"no Ray cluster at '{address}': {first_line(error)}"
        raise ConfigError(Mistake(what, where=_WHERE, fix="start one with `ray start --head`")) from error
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(Mistake(f"can't use Ray: {first_line(error)}", where=_WHERE)) from error


def _keep_quiet(ray: Any) -> None:
    # Ray prints to every driver what any node reports, e.g. that an actor which we have ended died, and 20 lines of a
    # lost node's log. There is no option against it.
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda *_arguments, **_options: None


def _check_answers(address: str) -> None:
    # Ray itself would try for minutes, and then abort the process.
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        what = f"'{address}' isn't the address of a Ray cluster's head"
        fix = "write host:port as `ray start --head` prints it (by default port 6379), or auto; ray:// isn't supported"
        raise ConfigError(Mistake(what, where=_WHERE, fix=fix))
    try:
        speaks_grpc = _speaks_http2(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        what = f"no Ray cluster answers at {address}: {getattr(error, 'strerror', None) or error}"
        fix = "start one with `ray start --head`, or correct the address"
        raise ConfigError(Mistake(what, where=_WHERE, fix=fix)) from error
    if not speaks_grpc:
        what = f"something else than the head of a Ray cluster answers at {address}"
        raise ConfigError(Mistake(what, where=_WHERE, fix="`ray start --head` prints the address"))
    if not _is_a_node():
        what = f"this machine isn't a node of the Ray cluster at {address}"
        raise ConfigError(
            Mistake(what, where=_WHERE, fix=f"start one here: ray start --address={address} --num-cpus=0")
        )


def _is_a_node() -> bool:
    """Tell whether a node runs on this machine; Ray looks for one in the same way, for a minute."""
    return any(process.info["name"] == "raylet" for process in psutil.process_iter(["name"]))


def _speaks_http2(host: str, port: int) -> bool:
    """Tell whether a server greets as gRPC does: RFC 9113, section 3.4, both sides begin with a SETTINGS frame."""
    settings_frame = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    with contextlib.ExitStack() as opened:
        peer = opened.enter_context(socket.create_connection((host, port), timeout=_CONNECT_S))
        tls = _tls_of_ray()
        try:
            if tls is not None:
                peer = opened.enter_context(tls.wrap_socket(peer))
            peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings_frame)
            return peer.recv(len(settings_frame))[3:4] == settings_frame[3:4]
        except (TimeoutError, ssl.SSLError):
            return False


def _tls_of_ray() -> ssl.SSLContext | None:
    """Return how Ray is told to connect, both ends with a certificate; None for the clear. Raises OSError."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        return None
    context = ssl.create_default_context(cafile=os.environ.get("RAY_TLS_CA_CERT"))
    context.check_hostname = False  # here it is only asked whether Ray is there
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(os.environ.get("RAY_TLS_SERVER_CERT", ""), os.environ.get("RAY_TLS_SERVER_KEY"))
    return context


def _local_options() -> dict[str, Any]:
    _remove_leftovers()
    return {"address": "local", "include_dashboard": False, "_temp_dir": str(_session_folder())}


def _session_folder() -> Path:
    # Short: the name of a socket in it may have no more than 107 bytes.
    return Path(tempfile.gettempdir()) / _SESSIONS / f"{os.getpid()}-{int(started_at(os.getpid()) or 0):x}"


def _remove_leftovers() -> None:
    """Remove the files of clusters that runs of this user started here and that ended with a crash."""
    for folder in _session_folder().parent.glob("*-*"):
        pid, _, began = folder.name.partition("-")
        with contextlib.suppress(ValueError, OSError):
            alive = started_at(int(pid))
            is_same = alive is not None and f"{int(alive):x}" == began
            if not is_same and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def first_line(error: BaseException) -> str:
    """Return what an error of Ray says, without the pages that follow."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
