"""List the commands."""

import ast
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from nemo_gym.commands.entry import DONE, require_known, run_command
from nemo_gym.config.reading.command_line import CommandLine


class HelpOptions(BaseModel):
    """ng_help has no parameters."""


def main() -> None:
    """Entry point of ng_help."""
    run_command("ng_help", __doc__ or "", HelpOptions, show)


def show(command_line: CommandLine) -> int:
    """Print every command with the first line of what it does."""
    require_known(HelpOptions, command_line)
    for name, module in commands().items():
        print(f"{name:26} {_first_line(module)}")
    print("\nParameters of one: ng_<command> --help. Arguments are written key=value (Hydra overrides).")
    return DONE


def commands() -> dict[str, str]:
    """Return the module of every command by its short name, as they are installed."""
    scripts = entry_points(group="console_scripts")
    return {script.name: script.module for script in sorted(scripts) if script.name.startswith("ng_")}


def _first_line(module: str) -> str:
    # Read, not imported: listing the commands must not load them all.
    spec = find_spec(module)
    source = Path(spec.origin).read_text() if spec is not None and spec.origin else ""
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]
