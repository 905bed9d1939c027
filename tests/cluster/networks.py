"""Networks for the nodes of a cluster on one machine: namespaces of their own where that is allowed, else loopback."""

import os
import subprocess
from collections.abc import Sequence
from typing import Protocol


class Network(Protocol):
    """Gives every node an address of its own."""

    @property
    def kind(self) -> str:
        """Say what it is, for the report of the tests."""

    def address(self, node: int) -> str:
        """Return the address of a node, from 1."""

    def inside(self, node: int, command: Sequence[str]) -> list[str]:
        """Return the command that runs another on a node."""

    def processes(self, node: int) -> list[int]:
        """Return what runs on a node; empty where nobody can tell."""

    def close(self) -> None:
        """Remove everything."""


class Namespaces:
    """A network namespace for each node, connected by a bridge in another one: a node can be cut off."""

    kind = "a network namespace for each node"

    def __init__(self, num_nodes: int) -> None:
        self._prefix = f"ngc{os.getpid()}"
        self._nodes = range(1, num_nodes + 1)
        self._switch = f"{self._prefix}sw"
        try:
            _ip("netns", "add", self._switch)
            _ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "br0", "up")
            for node in self._nodes:
                self._connect(node)
        except BaseException:
            self.close()
            raise

    def address(self, node: int) -> str:
        """Return the address of a node, from 1."""
        return f"10.199.0.{node}"

    def inside(self, node: int, command: Sequence[str]) -> list[str]:
        """Return the command that runs another on a node."""
        return ["ip", "netns", "exec", self._name(node), *command]

    def processes(self, node: int) -> list[int]:
        """Return what runs on a node."""
        found = subprocess.run(["ip", "netns", "pids", self._name(node)], capture_output=True, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def set_connected(self, node: int, *, is_connected: bool) -> None:
        """Cut a node off, or connect it again."""
        _ip("-n", self._switch, "link", "set", f"p{node}", "up" if is_connected else "down")

    def close(self) -> None:
        """Remove the namespaces, and with them their interfaces."""
        for name in (*map(self._name, self._nodes), self._switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def _name(self, node: int) -> str:
        return f"{self._prefix}n{node}"

    def _connect(self, node: int) -> None:
        name = self._name(node)
        _ip("netns", "add", name)
        peer = ("peer", "name", f"p{node}", "netns", self._switch)
        _ip("link", "add", "eth0", "netns", name, "type", "veth", *peer)
        _ip("-n", self._switch, "link", "set", f"p{node}", "master", "br0", "up")
        _ip("-n", name, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")


class Loopback:
    """Another address of this machine for each node: nothing has to be permitted, and nobody can be cut off."""

    kind = "an address of loopback for each node"

    def address(self, node: int) -> str:
        """Return the address of a node, from 1."""
        return f"127.0.199.{node}"

    def inside(self, node: int, command: Sequence[str]) -> list[str]:
        """Return the command as it is."""
        return list(command)

    def processes(self, node: int) -> list[int]:
        """Nobody can tell what of this machine belongs to a node."""
        return []

    def close(self) -> None:
        """Leave nothing: nothing was made."""


def may_make_namespaces() -> bool:
    """Tell whether this user may make network namespaces here."""
    name = f"ngc{os.getpid()}try"
    try:
        subprocess.run(["ip", "netns", "add", name], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=True, text=True)
