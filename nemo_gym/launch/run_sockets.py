"""All sockets of a run, and which process gets which."""

import socket
from collections.abc import Sequence
from dataclasses import replace

from nemo_gym.config.load import RunConfig
from nemo_gym.launch.plan import PlannedProcess
from nemo_gym.launch.sockets import bind_head, bind_servers


class RunSockets:
    """Binds the head's socket, one for each instance, and one of its own for each worker of an instance.

    Raises:
        ConfigError: A port can't be had; nothing stays bound.
    """

    def __init__(self, config: RunConfig, processes: Sequence[PlannedProcess]) -> None:
        disallowed = config.global_config_dict.get("disallowed_ports", [])
        self.head = bind_head(config.head_bind_host, config.head_port)
        self._of_instance: dict[str, socket.socket] = {}
        self._of_worker: dict[tuple[str, str], socket.socket] = {}
        try:
            self._of_instance = bind_servers(config.instances, disallowed)
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
        """Refuse at once who calls a process that will not come back, instead of queueing for it.

        `is_last`: no other process serves its instances.
        """
        for public, *own in self.of_process(process).values():
            for listener in (*own, *([public] if is_last else [])):
                listener.close()

    def close(self) -> None:
        """Close every socket; closing one again does nothing."""
        for listener in (self.head, *self._of_instance.values(), *self._of_worker.values()):
            listener.close()
