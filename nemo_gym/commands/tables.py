"""Tables of a run: its plan, its servers when they are ready, its servers as they are now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nemo_gym.config.addresses import http_url
from nemo_gym.config.load import RunConfig
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.servers.runs.record import ServerInstanceState

if TYPE_CHECKING:
    from rich.console import Console

    from nemo_gym.launch.launcher import Launcher
    from nemo_gym.servers.runs.record import RunRecord


def print_plan(config: RunConfig, options: LaunchOptions) -> None:
    """Print what a run would start, where."""
    from rich.table import Table

    from nemo_gym.launch.plan import plan

    table = Table("name", "kind", "implementation", "address", "environment", box=None, header_style="bold")
    for planned in plan(config, options):
        instance = planned.instance
        built = "current" if planned.environment.folder is None else str(planned.environment.folder)
        missing = "" if planned.environment.is_built else " (to be built)"
        address = f"{instance.host}:{instance.port or '(free port)'}"
        table.add_row(instance.name, instance.kind, instance.implementation, address, built + missing)
    console = _console()
    console.print(table)
    console.print(f"head: {config.head_host}:{config.head_port}. Nothing was started (dry_run).", highlight=False)


def print_ready(launcher: "Launcher", seconds: float) -> None:
    """Print every server of a run that is ready, and where its log is."""
    print_servers(launcher.states_now(), head_url(launcher.config), seconds, "Ctrl-C stops them")


def print_servers(servers: Sequence[ServerInstanceState], head: str, seconds: float, how_to_stop: str) -> None:
    """Print servers that are ready after `seconds`, and how to stop them."""
    from rich.markup import escape  # an IPv6 address looks like markup
    from rich.table import Table

    table = Table("name", "kind", "address", "pid", "log", box=None, header_style="bold")
    for state in servers:
        table.add_row(state.name, state.kind, escape(state.url), str(state.pid), state.log or "")
    console = _console()
    console.print(table)
    console.print(
        f"All {len(servers)} servers are ready after {seconds:.1f} s; head at {head}. {how_to_stop}.",
        highlight=False,
        markup=False,
    )


def print_status(run: "RunRecord", servers: Sequence[ServerInstanceState], healthy: Sequence[bool]) -> None:
    """Print one run: its servers, their state as its head tells it, and whether they answer."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "kind", "address", "pid", "state", "health", "log", box=None, header_style="bold")
    for state, answers in zip(servers, healthy, strict=True):
        pid = "-" if state.pid is None else str(state.pid)
        health = "ok" if answers else "no answer"
        table.add_row(state.name, state.kind, escape(state.url), pid, state.state, health, state.log or "")
    console = _console()
    head = http_url(run.head_host, run.head_port)
    console.print(f"run {run.run_id}: head {head}, pid {run.pid}, from {run.folder}", highlight=False, markup=False)
    console.print(table)


def head_url(config: RunConfig) -> str:
    """Return where the head of a run is called."""
    return http_url(config.head_host, config.head_port)


def _console() -> "Console":
    from rich.console import Console

    # Paths and addresses are for copying: never cut, so a narrow terminal folds the line itself.
    return Console(width=240, soft_wrap=True)
