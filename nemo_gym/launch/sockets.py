"""The sockets of a run: bound by the launcher before anything is started; and which process gets which."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import replace

import psutil

from nemo_gym.config.checks.instances import ServerInstance
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import RunConfig
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.servers.runs.record import live_run_on
from nemo_gym.servers.serving.connections.listeners import bind

_FREE_PORT_TRIES = 50


def bind_head(host: str, port: int) -> socket.socket:
    """Return the head's socket; raises ConfigError, which names the process that has the port and how to stop it."""
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
    if run is not None and run[0].has_head:
        record, _ = run
        what = f"port {port} of the head is taken by the run {record.run_id} (pid {record.pid}, from {record.folder})"
        fix = f"stop it: ng_stop +head_server.port={port}; or choose another port: +head_server.port={port + 1}"
        return Mistake(what, where=where, fix=fix)
    fix = f"choose another port: +head_server.port={port + 1}"
    return Mistake(f"the head can't listen on {host}:{port}: {_cause(port, error)}", where=where, fix=fix)


def _port_mistake(instance: ServerInstance, error: OSError) -> Mistake:
    where = f"{instance.name}.{instance.kind}.{instance.implementation}.port"
    what = f"{instance.name} can't listen on {instance.bind_host}:{instance.port}: {_cause(instance.port or 0, error)}"
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
        pass  # this user may not see other users' sockets
    return None


class RunSockets:
    """Binds the head's sockets, one for each instance, and one of its own for each worker of an instance.

    Args:
        config: Says where the head listens.
        processes: Those of this machine.
        head_hosts: Further addresses that the head listens on, with the same port.

    Raises:
        ConfigError: A port can't be had; nothing stays bound.
    """

    def __init__(self, config: RunConfig, processes: Sequence[PlannedProcess], head_hosts: Sequence[str] = ()) -> None:
        disallowed = config.global_config_dict.get("disallowed_ports", [])
        self.head: list[socket.socket] = []
        self._of_instance: dict[str, socket.socket] = {}
        self._of_worker: dict[tuple[str, str], socket.socket] = {}
        instances = {server.instance.name: server.instance for process in processes for server in process.servers}
        try:
            for host in (config.head_bind_host, *head_hosts):
                self.head.append(bind_head(host, config.head_port))
            self._of_instance = bind_servers(list(instances.values()), disallowed)
            for process in processes:
                if process.worker is not None:
                    self._bind_worker(process, disallowed)
        except BaseException:
            self.close()
            raise
        self._port_of = {name: listener.getsockname()[1] for name, listener in self._of_instance.items()}

    def _bind_worker(self, process: PlannedProcess, disallowed: Sequence[int]) -> None:
        instances = [replace(server.instance, port=None) for server in process.servers]
        for name, listener in bind_servers(instances, disallowed).items():
            self._of_worker[process.name, name] = listener

    def port_of(self, instance: str) -> int:
        """Return the port on which an instance answers."""
        return int(self._port_of[instance])

    def worker_ports_of(self, instance: str) -> list[int]:
        """Return the own port of each worker of an instance, in order; empty where it has only one."""
        return [listener.getsockname()[1] for (_, name), listener in self._of_worker.items() if name == instance]

    def of_process(self, process: PlannedProcess) -> dict[str, list[socket.socket]]:
        """Return the sockets a process answers on, by instance: the instance's own, and the worker's."""
        return {
            server.instance.name: [
                self._of_instance[server.instance.name],
                *([self._of_worker[process.name, server.instance.name]] if process.worker is not None else []),
            ]
            for server in process.servers
        }

    def give_up(self, process: PlannedProcess, *, is_last: bool) -> None:
        """Refuse calls of a process that won't come back at once, instead of letting them wait for it.

        `is_last`: no other process serves its instances.
        """
        for public, *own in self.of_process(process).values():
            for listener in (*own, *([public] if is_last else [])):
                listener.close()

    def close(self) -> None:
        """Close every socket; closing one again does nothing."""
        for listener in (*self.head, *self._of_instance.values(), *self._of_worker.values()):
            listener.close()
