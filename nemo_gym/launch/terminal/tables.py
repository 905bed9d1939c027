"""Tables of a run for people: its plan, its servers when they are ready, its servers as they are now.

At a terminal they fit its width; into a pipe or a file each row stays one line.
"""

import shutil
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_gym.config.addresses import http_url
from nemo_gym.config.keys import AGENTS_KIND, MODELS_KIND, RESOURCES_KIND
from nemo_gym.config.load import RunConfig
from nemo_gym.launch.plan import LaunchOptions, plan
from nemo_gym.servers.runs.record import RunRecord, ServerInstanceState

if TYPE_CHECKING:
    from rich.table import Table

_SHORT_KINDS = {MODELS_KIND: "model", RESOURCES_KIND: "resources", AGENTS_KIND: "agent"}
_ANY_WIDTH = 10_000


def plan_text(config: RunConfig, options: LaunchOptions, *, is_terminal: bool) -> str:
    """Return what a run would start, where."""
    table = make_table("name", "kind", "implementation", "address", "environment")
    folders = set()
    for planned in plan(config, options):
        instance, folder = planned.instance, planned.environment.folder
        missing = "" if planned.environment.is_built else " (to be built)"
        address = f"{instance.host}:{instance.port}" if instance.port else "free port"
        name = "current" if folder is None else folder.name
        folders |= {folder.parent} if folder is not None else set()
        table.add_row(instance.name, _SHORT_KINDS[instance.kind], instance.implementation, address, name + missing)
    last = f"head: {config.head_host}:{config.head_port}. Nothing was started (dry_run)."
    return "\n".join([rendered(table, is_terminal), *_places("environments", folders), last])


def ready_text(
    servers: Sequence[ServerInstanceState], config: RunConfig, seconds: float, how_to_stop: str, *, is_terminal: bool
) -> str:
    """Return the servers of a run that are ready after `seconds`, where their logs are, and how to stop them."""
    more = _columns_of_clusters(servers)
    table = make_table("name", "kind", "address", "pid", *more)
    for state, row in zip(servers, _rows(more, len(servers)), strict=True):
        table.add_row(state.name, _SHORT_KINDS[state.kind], state.url, str(state.pid), *row)
    head = f"head at {http_url(config.head_host, config.head_port, is_tls=config.tls is not None)}. {how_to_stop}."
    last = f"All {len(servers)} servers are ready after {seconds:.1f} s; {head}"
    return "\n".join([rendered(table, is_terminal), *_places("logs", _log_folders(servers)), last])


def status_text(
    run: RunRecord, servers: Sequence[ServerInstanceState], answers: Sequence[bool], *, is_terminal: bool
) -> str:
    """Return one run: its servers, their state as its head tells it, and which of them don't answer."""
    more = _columns_of_clusters(servers)
    table = make_table("name", "kind", "address", "pid", "state", *more)
    for state, is_answering, row in zip(servers, answers, _rows(more, len(servers)), strict=True):
        shown = "no answer" if state.state == "ready" and not is_answering else state.state
        pid = "-" if state.pid is None else str(state.pid)
        table.add_row(state.name, _SHORT_KINDS[state.kind], state.url, pid, shown, *row)
    first = [f"run {run.run_id}: head {run.head_url}, pid {run.pid}", f"from: {run.folder}"]
    reasons = [f"{state.name}: {state.reason}" for state in servers if state.reason]
    return "\n".join([*first, *_places("logs", _log_folders(servers)), rendered(table, is_terminal), *reasons])


def _columns_of_clusters(servers: Sequence[ServerInstanceState]) -> dict[str, list[str]]:
    """Return the columns that tell something of these servers: where they are, how often they were started again."""
    columns: dict[str, list[str]] = {}
    if any(state.node for state in servers):
        columns["node"] = [state.node or "here" for state in servers]
    if any(state.restarts for state in servers):
        columns["restarts"] = [str(state.restarts) for state in servers]
    return columns


def _rows(columns: dict[str, list[str]], number: int) -> Iterable[tuple[str, ...]]:
    return zip(*columns.values(), strict=True) if columns else [()] * number


def _places(name: str, folders: Iterable[Path]) -> list[str]:
    return [f"{name}: {folder}" for folder in sorted(folders)]


def _log_folders(servers: Sequence[ServerInstanceState]) -> set[Path]:
    return {Path(state.log).parent for state in servers if state.log}


def make_table(*columns: str) -> "Table":
    """Return an empty table as all of ours look."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("address", "pid"))
    return table


def rendered(table: "Table", is_terminal: bool) -> str:
    """Return a table as text."""
    from rich.console import Console

    out = StringIO()
    width = shutil.get_terminal_size().columns if is_terminal else _ANY_WIDTH
    # Without markup an IPv6 address stays one; without highlighting names and numbers stay as they are.
    Console(file=out, width=width, force_terminal=is_terminal, highlight=False, markup=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
