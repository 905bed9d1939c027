"""What every command does before and after its own work: arguments, help, options, exit status."""

import errno
import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nemo_gym.commands.parameters import print_help
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.reading.command_line import CommandLine, parse_command_line

DONE, INCOMPLETE, MISTAKE, INTERRUPTED = 0, 1, 2, 130

Options = TypeVar("Options", bound=BaseModel)


def run_command(
    name: str,
    doc: str,
    options: type[BaseModel],
    main: Callable[[CommandLine], int],
    argv: Sequence[str] | None = None,
) -> NoReturn:
    """Run `main` with this process's arguments, or `argv`, and exit with its status.

    A ConfigError is shown without a traceback: status 2. Ctrl-C: status 130. A reader of the output that is gone
    (`| head`), or a full disk: status 1.
    """
    _open_standard_streams()
    try:
        sys.exit(_status(name, doc, options, main, sys.argv[1:] if argv is None else argv))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print(f"error: {error}", file=sys.stderr)
        elif not (isinstance(error, BrokenPipeError) and _is_reader_gone()):
            raise
        _drop_output()
        sys.exit(INCOMPLETE)


def _status(
    name: str, doc: str, options: type[BaseModel], main: Callable[[CommandLine], int], argv: Sequence[str]
) -> int:
    try:
        command_line = parse_command_line(argv)
        if command_line.help:
            print_help(name, doc, options)
            status = DONE
        else:
            status = main(command_line)
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _is_reader_gone() -> bool:
    """Tell whether standard output is a pipe that nobody reads any more."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in output.poll(0))


def _drop_output() -> None:
    # Otherwise the interpreter tries to write the rest when it exits, and complains.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_streams() -> None:
    # Closed by the caller (`>&-`), their numbers would go to the next files and sockets, which then got our output.
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, open(nothing, "w" if fd else "r", closefd=False))  # noqa: SIM115


def read_options(model: type[Options], values: Mapping[Any, Any]) -> Options:
    """Return the options of a command from the merged values; raises ConfigError with every mistake."""
    try:
        return model.model_validate({str(k): v for k, v in values.items() if k in model.model_fields})
    except ValidationError as error:
        raise ConfigError(*(_mistake(d, model) for d in error.errors(include_url=False))) from error


def require_known(model: type[BaseModel], command_line: CommandLine, also: frozenset[str] = frozenset()) -> None:
    """Raise ConfigError for every argument that isn't an option, in a command that reads no other configuration."""
    known = [*model.model_fields, *also]
    mistakes = [
        Mistake(f"no option named '{key}'", where="command line", known=known, fix=did_you_mean(str(key), known))
        for key in command_line.overrides
        if key not in known
    ]
    if mistakes:
        raise ConfigError(*mistakes)


def _mistake(detail: ErrorDetails, model: type[BaseModel]) -> Mistake:
    key = ".".join(map(str, detail["loc"]))
    field = model.model_fields.get(str(detail["loc"][0])) if detail["loc"] else None
    if detail["type"] == "missing":
        fix = f"+{key}=...  ({field.description})" if field is not None else f"+{key}=..."
        return Mistake(f"{key} is missing", where="command line", fix=fix)
    message = detail["msg"].removeprefix("Value error, ")
    return Mistake(f"{key}: {message} (got {detail['input']!r})", where="command line")
