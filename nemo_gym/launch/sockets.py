"""The sockets of a run: bound by the launcher, all of them, before anything is started."""

import errno
import socket
from collections.abc import Sequence

import psutil

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.instances import ServerInstance
from nemo_gym.servers.listeners import bind
from nemo_gym.servers.run_record import live_run_on

_FREE_PORT_TRIES = 50


def bind_head(host: str, port: int) -> socket.socket:
    """Return the head's socket; raises ConfigError that says who has the port and how to stop it."""
    try:
        return bind(host, port)
    except OSError as error:
        raise ConfigError(_head_mistake(host, port, error)) from error


def bind_servers(instances: Sequence[ServerInstance], disallowed: Sequence[int]) -> dict[str, socket.socket]:
    """Return a bound socket for each instance by name; raises ConfigError with every port that can't be had."""
    bound: dict[str, socket.socket] = {}
    mistakes = []
    for instance in instances:
        try:
            bound[instance.name] = _bind_instance(instance, disallowed)
        except OSError as error:
            mistakes.append(_port_mistake(instance, error))
    if mistakes:
        for listener in bound.values():
            listener.close()
        raise ConfigError(*mistakes)
    return bound


def _bind_instance(instance: ServerInstance, disallowed: Sequence[int]) -> socket.socket:
    if instance.port is not None:
        return bind(instance.bind_host, instance.port)
    for _ in range(_FREE_PORT_TRIES):
        listener = bind(instance.bind_host, 0)
        if listener.getsockname()[1] not in disallowed:
            return listener
        listener.close()
    raise OSError(errno.EADDRINUSE, "every free port tried is in disallowed_ports")


def _head_mistake(host: str, port: int, error: OSError) -> Mistake:
    where = "head_server.port"
    run = live_run_on(port)
    if run is not None:
        record, _ = run
        what = f"port {port} of the head is taken by the run {record.run_id} (pid {record.pid}, from {record.folder})"
        fix = f"stop it: ng_stop +head_server.port={port}; or choose another port: +head_server.port={port + 1}"
        return Mistake(what, where=where, fix=fix)
    fix = f"choose another port: +head_server.port={port + 1}"
    return Mistake(f"the head cannot listen on {host}:{port}: {_cause(port, error)}", where=where, fix=fix)


def _port_mistake(instance: ServerInstance, error: OSError) -> Mistake:
    where = f"{instance.name}.{instance.kind}.{instance.implementation}.port"
    what = f"{instance.name} cannot listen on {instance.bind_host}:{instance.port}: {_cause(instance.port or 0, error)}"
    return Mistake(what, where=where, fix="choose another port, or leave it out: a free one is taken")


def _cause(port: int, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return error.strerror or str(error)
    owner = _owner_of(port)
    return "the port is in use" + (f" by {owner}" if owner else "")


def _owner_of(port: int) -> str | None:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                process = psutil.Process(connection.pid)
                return f"pid {process.pid} ({' '.join(process.cmdline())[:120]})"
    except psutil.Error:
        pass  # other people's sockets are not ours to see
    return None
