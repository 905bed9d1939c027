"""What every command does before and after its own work: arguments, help, options, exit status."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.reading.command_line import CommandLine, parse_command_line

DONE, INCOMPLETE, MISTAKE, INTERRUPTED = 0, 1, 2, 130

Options = TypeVar("Options", bound=BaseModel)


def run_command(name: str, doc: str, options: type[BaseModel], main: Callable[[CommandLine], int]) -> NoReturn:
    """Run `main` with this process's arguments and exit with its status.

    A ConfigError is shown without a traceback: status 2. Ctrl-C: status 130.
    """
    _open_standard_streams()
    try:
        command_line = parse_command_line(sys.argv[1:])
        if command_line.help:
            print_help(name, doc, options)
            sys.exit(DONE)
        status = main(command_line)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(status)


def _open_standard_streams() -> None:
    # Closed by the caller (`>&-`), their numbers would go to the next files and sockets, which then got our output.
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, open(nothing, "w" if fd else "r", closefd=False))  # noqa: SIM115


def read_options(model: type[Options], values: Mapping[Any, Any]) -> Options:
    """Return the options of a command out of the merged values; raises ConfigError with every mistake."""
    try:
        return model.model_validate({str(k): v for k, v in values.items() if k in model.model_fields})
    except ValidationError as error:
        raise ConfigError(*(_mistake(dict(d), model) for d in error.errors(include_url=False))) from error


def require_known(model: type[BaseModel], command_line: CommandLine, also: frozenset[str] = frozenset()) -> None:
    """Raise ConfigError for every argument that is no option of a command whose arguments are all its own."""
    known = [*model.model_fields, *also]
    mistakes = [
        Mistake(f"no option named '{key}'", where="command line", known=known, fix=did_you_mean(str(key), known))
        for key in command_line.overrides
        if key not in known
    ]
    if mistakes:
        raise ConfigError(*mistakes)


def _mistake(detail: dict[str, Any], model: type[BaseModel]) -> Mistake:
    key = ".".join(map(str, detail["loc"]))
    field = model.model_fields.get(str(detail["loc"][0])) if detail["loc"] else None
    if detail["type"] == "missing":
        fix = f"+{key}=...  ({field.description})" if field is not None else f"+{key}=..."
        return Mistake(f"{key} is missing", where="command line", fix=fix)
    message = detail["msg"].removeprefix("Value error, ")
    return Mistake(f"{key}: {message} (got {detail['input']!r})", where="command line")


def print_help(name: str, doc: str, options: type[BaseModel]) -> None:
    """Print what a command does and a table of its parameters."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{name}[/bold]  {doc.strip()}\n", highlight=False)
    table = Table("parameter", "type", "default", "meaning", box=None, pad_edge=False, header_style="bold")
    for key, field in options.model_fields.items():
        table.add_row(f"+{key}", _type_name(field), _default(field), field.description or "")
    console.print(table)


def _type_name(field: FieldInfo) -> str:
    annotation = field.annotation
    if isinstance(annotation, type):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("pathlib.", "").replace("Literal", "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "null" if value is None else str(value)
