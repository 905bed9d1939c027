"""The cluster that a run has joined: its nodes, which of them a process may have, and the actors that it gets there."""

import asyncio
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.placement import Placement
from nemo_gym.launch.plan import PlannedProcess, with_workers
from nemo_gym.launch.ray.actor import NodeActor
from nemo_gym.launch.ray.node_process import ORPHANED_AFTER_S
from nemo_gym.ray_connection import Connection, is_namespace_of_a_run

_ANSWER_S = 5.0


@dataclass(frozen=True)
class Node:
    """One node that is alive, with everything it has, reserved or not."""

    id: str
    address: str
    host_name: str
    has: Mapping[str, float]

    def __str__(self) -> str:
        shown = {name: amount for name, amount in self.has.items() if not name.startswith(("node:", "object_store"))}
        return f"{self.address} ({amounts(shown) or 'nothing'})"


class Cluster:
    """Gives actors to placed processes.

    Args:
        connection: Of this process.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ray: Any = importlib.import_module("ray")
        ray = self._ray
        ray.cloudpickle.register_pickle_by_value(sys.modules[NodeActor.__module__])
        self._actor_class = ray.remote(NodeActor)
        self._node_of_first: dict[str, str] = {}
        self._first_settled: dict[str, asyncio.Event] = {}

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive."""
        return [
            Node(node["NodeID"], node["NodeManagerAddress"], node["NodeManagerHostname"], node["Resources"])
            for node in self._ray.nodes()
            if node["Alive"]
        ]

    def stored(self, content: bytes) -> Any:
        """Return a reference to a copy in Ray's object store, which every node fetches once."""
        return self._ray.put(content)

    def spread_over_nodes(self, processes: Sequence[PlannedProcess]) -> list[PlannedProcess]:
        """Return the processes with one worker for each node where `every_node` says so, each bound to its node.

        Raises:
            ConfigError: No node has what a process reserves, or there is no such node.
        """
        nodes = self.nodes()
        spread: list[PlannedProcess] = []
        for process in processes:
            if process.placement is not None and process.placement.every_node:
                fitting = [node for node in nodes if _fits(process.placement, node)]
                workers = with_workers(process, max(1, len(fitting)))
                spread += [_bound_to(worker, node) for worker, node in zip(workers, fitting, strict=False)] or workers
            else:
                spread.append(process)
        mistakes: list[Mistake] = []
        for process in spread:  # the workers of an instance have the same
            mistakes += [mistake for mistake in _impossible(process, nodes) if mistake not in mistakes]
        if mistakes:
            raise ConfigError(*mistakes)
        return spread

    def actor_for(self, process: PlannedProcess, name: str) -> Any:
        """Return a new actor for a process; it may have to wait until a node has room.

        Args:
            process: A placed one.
            name: Of the actor, unique in the run.
        """
        placement = process.placement
        assert placement is not None
        custom = {key: amount for key, amount in placement.resources.items() if amount}
        options: dict[str, Any] = {"memory": placement.memory} if placement.memory else {}
        return self._actor_class.options(
            name=name,
            namespace=self.connection.namespace,
            num_cpus=placement.num_cpus,
            num_gpus=placement.num_gpus,
            resources=custom,
            scheduling_strategy=self._strategy(process, placement),
            max_restarts=0,  # the launcher starts another, by the policy that holds for all processes
            **options,
        ).remote()

    def driver_actor(self) -> Any:
        """Return a new actor for a driver of a collection; it ends with this connection."""
        return self._actor_class.options(num_cpus=1, scheduling_strategy="SPREAD", max_restarts=0).remote()

    async def turn_of(self, process: PlannedProcess) -> None:
        """Wait until a process may get an actor: with `pack`, when the first of its siblings has a node."""
        assert process.placement is not None
        if process.placement.strategy == "pack" and process.worker:
            await self._first_settled.setdefault(_group(process), asyncio.Event()).wait()

    def settled(self, process: PlannedProcess, node_id: str) -> None:
        """Note where a process is: `pack` puts its siblings beside the first."""
        if not process.worker:
            self._node_of_first[_group(process)] = node_id
            self._first_settled.setdefault(_group(process), asyncio.Event()).set()

    async def end_orphans(self) -> None:
        """End actors of other runs of ours that should have ended by themselves: their launcher is gone."""
        for named in self._ray.util.list_named_actors(all_namespaces=True):
            if not is_namespace_of_a_run(named["namespace"]) or named["namespace"] == self.connection.namespace:
                continue
            try:
                actor = self._ray.get_actor(named["name"], named["namespace"])
                async with asyncio.timeout(_ANSWER_S):
                    silent_s = await actor.call.remote("silent_s")
            except (ValueError, TimeoutError, self._ray.exceptions.RayError):
                continue  # gone meanwhile, or its node is
            if silent_s > ORPHANED_AFTER_S:
                self._ray.kill(actor)

    def _strategy(self, process: PlannedProcess, placement: Placement) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        is_sibling = placement.strategy == "pack" and process.worker
        beside = self._node_of_first.get(_group(process)) if is_sibling else None
        if placement.node is not None:
            node = next((node for node in self.nodes() if _is_named(node, placement.node)), None)
            if node is not None:  # one of every node's may come up elsewhere when its node is lost
                return NodeAffinitySchedulingStrategy(node.id, soft=placement.every_node)
        if beside is not None:
            return NodeAffinitySchedulingStrategy(beside, soft=True)
        return "SPREAD" if placement.strategy == "spread" else "DEFAULT"


def _impossible(process: PlannedProcess, nodes: Sequence[Node]) -> list[Mistake]:
    placement = process.placement
    if placement is None:
        return []
    where = _where(process)
    known = [str(node) for node in nodes]
    named = [node for node in nodes if placement.node is None or _is_named(node, placement.node)]
    if not named:
        return [Mistake(f"the cluster has no node '{placement.node}'", f"{where}.node", known)]
    if any(_fits(placement, node) for node in named):
        return []
    what = f"no node of the cluster has {amounts(placement.demands)}, which a process of it reserves"
    return [Mistake(what, where, known, "ask for less, or add such a node")]


def _bound_to(process: PlannedProcess, node: Node) -> PlannedProcess:
    assert process.placement is not None
    return replace(process, placement=process.placement.model_copy(update={"node": node.id}))


def _fits(placement: Placement, node: Node) -> bool:
    return all(node.has.get(name, 0) >= amount for name, amount in placement.demands.items())


def _is_named(node: Node, name: str) -> bool:
    return name in (node.id, node.address, node.host_name)


def _group(process: PlannedProcess) -> str:
    return ",".join(server.instance.name for server in process.servers)


def _where(process: PlannedProcess) -> str:
    if process.is_colocated:
        return "placement"
    instance = process.servers[0].instance
    return f"{instance.name}.{instance.kind}.{instance.implementation}.placement"


def amounts(resources: Mapping[str, float]) -> str:
    """Return resources in words, e.g. "CPU 2, GPU 1"; "" for none."""
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(resources.items()))
