"""Tables of a run: its plan, and its servers when they are ready."""

from typing import TYPE_CHECKING

from nemo_gym.config.load import RunConfig
from nemo_gym.launch.options import LaunchOptions

if TYPE_CHECKING:
    from rich.console import Console

    from nemo_gym.launch.launcher import Launcher


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
    from rich.table import Table

    table = Table("name", "kind", "address", "pid", "log", box=None, header_style="bold")
    for state in launcher.states_now():
        table.add_row(state.name, state.kind, state.url, str(state.pid), state.log or "")
    console = _console()
    console.print(table)
    head = f"http://{launcher.config.head_host}:{launcher.config.head_port}"
    console.print(
        f"All {len(launcher.servers)} servers are ready after {seconds:.1f} s; head at {head}. Ctrl-C stops them.",
        highlight=False,
    )


def _console() -> "Console":
    from rich.console import Console

    # Paths and addresses are for copying: never cut, so a narrow terminal folds the line itself.
    return Console(width=240, soft_wrap=True)
