"""One process of a run on a node: it is started and stopped here at the word of the launcher, which may be far away."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemo_gym.config.env_names import COLOCATED_SCRIPTS_ENV, CONFIG_FILE_ENV, OF_ANOTHER_RUN
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.environments.building import Environment, build
from nemo_gym.launch.processes.process import ProcessSpec, ServerProcess
from nemo_gym.servers.runs.record import home
from nemo_gym.servers.runs.tls import TlsFiles
from nemo_gym.servers.serving.connections.listeners import bind

ORPHANED_AFTER_S = 20.0
"""A process whose launcher has not asked for so long is ended: the launcher is gone, or thinks that this node is."""

_NEWS_WITHIN_S = 5.0
_MAX_KEPT = 10_000


@dataclass(frozen=True)
class StartOrder:
    """How to start the process. Paths start from the root of the shipment.

    Attributes:
        scripts: Entrypoint of each instance, by its name.
        is_colocated: They all live in the one process.
        config: Configuration as YAML, with the secrets of these instances.
        variables: Environment variables beyond those of the node.
    """

    scripts: dict[str, str]
    is_colocated: bool
    config: str
    variables: dict[str, str]


@dataclass(frozen=True)
class News:
    """What has happened since the launcher asked last.

    Attributes:
        number: Of the last event; the next question names it.
        phases: Reported by the server.
        lines: Printed by the server.
        end: How it ended, in words, and its return code; None while it runs.
    """

    number: int
    phases: tuple[str, ...]
    lines: tuple[str, ...]
    end: tuple[str, int | None] | None = None


class NodeProcess:
    """Lives in an actor on the node.

    Args:
        root: Where the code of the run was unpacked.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listeners: dict[str, list[socket.socket]] = {}
        self._process: ServerProcess | None = None
        self._events: deque[tuple[int, str, str]] = deque(maxlen=_MAX_KEPT)
        self._number = 0
        self._happened = asyncio.Event()
        self._lifeline: tuple[int, int] | None = None
        self._python = Path(sys.executable)
        self._is_building = False
        self._asked_at = time.monotonic()
        self._tasks = [asyncio.create_task(self._end_when_orphaned())]

    async def mistake_in_certificate(self, tls: TlsFiles, host: str) -> Mistake | None:
        """Return what is wrong with the files of this node; None: callers of `host` accept them."""
        try:
            tls.require_valid_for([host])
        except ConfigError as error:
            return error.mistakes[0]
        return None

    async def build(self, planned: Environment, component: str) -> tuple[Mistake, ...]:
        """Build an environment for the process on this node, unless it is there; return what is wrong with it.

        Args:
            planned: As on the machine of the launcher; no `version`: that of this node.
            component: Folder of the component, from the root of the shipment.
        """
        assert planned.folder is not None
        # Apart from one that a launcher builds on this machine, whose package of ours isn't that of a shipment.
        folder = home() / "environments" / f"{planned.folder.name}-node"
        version = planned.version or sys.executable
        here = Environment(folder / "bin" / "python", folder, planned.requirements, self._root / component, version)
        self._is_building = True
        try:
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            await build(here, folder.with_suffix(".log"))
        except ConfigError as error:
            return error.mistakes
        finally:
            self._is_building, self._asked_at = False, time.monotonic()
        self._python = here.python
        return ()

    async def bind(self, instances: Sequence[str], host: str, disallowed: Sequence[int]) -> dict[str, int]:
        """Listen on a free port of this node's interface for each instance; return the ports."""
        for name in instances:
            listener = bind(host, 0)
            while listener.getsockname()[1] in disallowed:
                listener.close()
                listener = bind(host, 0)
            self._listeners[name] = [listener]
        return {name: int(group[0].getsockname()[1]) for name, group in self._listeners.items()}

    async def start(self, order: StartOrder) -> int:
        """Start the process; return its id."""
        self._lifeline = os.pipe()
        scripts = {name: str(self._root / script) for name, script in order.scripts.items()}
        first = next(iter(scripts.values()))
        variables = {
            **{name: value for name, value in os.environ.items() if name not in OF_ANOTHER_RUN},
            **order.variables,
            "PYTHONPATH": os.pathsep.join([str(self._root), *filter(None, [os.environ.get("PYTHONPATH")])]),
            CONFIG_FILE_ENV: _readable(order.config),
        }
        if order.is_colocated:
            variables[COLOCATED_SCRIPTS_ENV] = json.dumps(scripts)
        spec = ProcessSpec(
            python=self._python,
            command=("-m", "nemo_gym.launch.processes.colocated") if order.is_colocated else (first,),
            folder=self._root if order.is_colocated else Path(first).parent,
            variables=variables,
            listeners=self._listeners,
            log_path=Path(os.devnull),  # the launcher writes it
            lifeline_fd=self._lifeline[0],
        )
        self._process = process = await ServerProcess.start(
            spec, lambda line: self._note("line", line), lambda phase: self._note("phase", phase)
        )
        self._tasks.append(asyncio.create_task(self._note_end(process)))
        return process.pid

    async def news(self, seen: int) -> News:
        """Return what happened after event number `seen`; waits for something up to five seconds."""
        self._asked_at = time.monotonic()
        if self._number <= seen and not self._is_over:
            happened = asyncio.ensure_future(self._happened.wait())
            await asyncio.wait([happened], timeout=_NEWS_WITHIN_S)
            happened.cancel()
        new = [event for event in self._events if event[0] > seen]
        told = {kind: [text for _, which, text in new if which == kind] for kind in ("phase", "line")}
        if new and new[0][0] > seen + 1:
            told["line"].insert(0, f"({new[0][0] - seen - 1} earlier lines are lost: the launcher didn't ask for them)")
        end = (self._process.how_it_ended, self._process.returncode) if self._is_over and self._process else None
        return News(self._number, tuple(told["phase"]), tuple(told["line"]), end)

    async def signal(self, number: int) -> None:
        """Send a signal to the process and everything it started."""
        if self._process is not None:
            self._process.signal_group(signal.Signals(number))

    async def silent_s(self) -> float:
        """Return for how many seconds the launcher has not asked; 0 while it waits for an environment."""
        return 0.0 if self._is_building else time.monotonic() - self._asked_at

    @property
    def _is_over(self) -> bool:
        return self._process is not None and self._process.ended.done()

    def _note(self, kind: str, text: str) -> None:
        self._number += 1
        self._events.append((self._number, kind, text))
        self._happened.set()
        self._happened = asyncio.Event()

    async def _note_end(self, process: ServerProcess) -> None:
        await asyncio.wait([process.ended])
        self._note("end", process.how_it_ended)

    async def _end_when_orphaned(self) -> None:
        while (left_s := ORPHANED_AFTER_S - await self.silent_s()) > 0:  # noqa: ASYNC110  # a clock, not an event
            await asyncio.sleep(left_s)
        if self._process is not None:
            self._process.signal_group(signal.SIGKILL)
        os._exit(1)


def _readable(config: str) -> str:
    """Return a path at which the server reads its configuration: in memory, and gone with this process."""
    fd = os.memfd_create("config")
    os.write(fd, config.encode())
    return f"/proc/{os.getpid()}/fd/{fd}"
