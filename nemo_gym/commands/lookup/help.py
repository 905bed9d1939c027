"""List the commands by what they are for, or describe one: ng_help ng_run."""

import ast
import sys
import textwrap
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from nemo_gym.commands.console import COMMANDS, short_name
from nemo_gym.commands.entry import DONE, require_known, run_command
from nemo_gym.commands.parameters import WIDTH
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.reading.command_line import CommandLine

_NAME_WIDTH = 28


class HelpOptions(BaseModel):
    """ng_help has no parameters."""


def main() -> None:
    """Entry point of ng_help."""
    asked = [word for word in sys.argv[1:] if "=" not in word and not word.startswith("-")]
    others = [word for word in sys.argv[1:] if word not in asked]
    run_command("ng_help", __doc__ or "", HelpOptions, lambda line: show(line, asked), others)


def show(command_line: CommandLine, asked: list[str]) -> int:
    """Print the help of the commands in `asked`, or every command with the first line of what it does."""
    require_known(HelpOptions, command_line)
    unknown = [word for word in asked if short_name(word) not in COMMANDS]
    if unknown:
        known = [f"ng_{name}" for name in COMMANDS]
        mistakes = (
            Mistake(f"no command named '{word}'", "command line", known, did_you_mean(f"ng_{short_name(word)}", known))
            for word in unknown
        )
        raise ConfigError(*mistakes)
    for word in asked[:1]:
        name = short_name(word)
        sys.argv = [f"ng_{name}", "--help"]
        import_module(f"nemo_gym.commands.{COMMANDS[name].module}").main()
    print("\n".join(_listing()))
    return DONE


def _listing() -> list[str]:
    lines = []
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines.append(f"{group}:")
        for name, command in COMMANDS.items():
            if command.group == group:
                lines += _entry(f"ng_{name}", _first_line(command.module))
        lines.append("")
    return [*lines, "Parameters of one: ng_help ng_<command>, or ng_<command> --help."]


def _entry(name: str, meaning: str) -> list[str]:
    indent = " " * _NAME_WIDTH
    if len(name) + 4 > _NAME_WIDTH:
        return [f"  {name}", *textwrap.wrap(meaning, WIDTH, initial_indent=indent, subsequent_indent=indent)]
    return textwrap.wrap(meaning, WIDTH, initial_indent=f"  {name}".ljust(_NAME_WIDTH), subsequent_indent=indent)


def _first_line(module: str) -> str:
    # Read, not imported: listing the commands needn't load them all.
    spec = find_spec(f"nemo_gym.commands.{module}")
    source = Path(spec.origin).read_text() if spec is not None and spec.origin else ""
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]
