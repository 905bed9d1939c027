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
from nemo_gym.config.errors import ConfigError, Mistake, admitted_names, closest, did_you_mean
from nemo_gym.config.reading.bare_arguments import key_for
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
        command_line = parse_command_line(argv, options)
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
        raise ConfigError(*(_mistake(d, model, values) for d in error.errors(include_url=False))) from error


def require_known(model: type[BaseModel], command_line: CommandLine, *, reads_files: bool = False) -> None:
    """Raise ConfigError for every argument that isn't an option, in a command that reads no other configuration.

    With `reads_files`, configuration files and environments may be named as arguments.
    """
    known = list(model.model_fields)
    mistakes = [
        Mistake(f"no option named '{key}'", where="command line", known=known, fix=did_you_mean(str(key), known))
        for key in command_line.overrides
        if key not in known
    ]
    mistakes += [_bare_path(path, model) for path in command_line.config_paths if not reads_files]
    if mistakes:
        raise ConfigError(*mistakes)


def _bare_path(path: str, model: type[BaseModel]) -> Mistake:
    key = key_for(path, model.model_fields)
    fix = f"write {key}={path}" if key else "leave it out"
    return Mistake(f"argument '{path}' isn't key=value", "command line", list(model.model_fields), fix)


def _mistake(detail: ErrorDetails, model: type[BaseModel], values: Mapping[Any, Any]) -> Mistake:
    key = ".".join(map(str, detail["loc"]))
    field = model.model_fields.get(str(detail["loc"][0])) if detail["loc"] else None
    about = f"  ({field.description})" if field is not None else ""
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        other = _written_instead(key, model, values)
        fix = f"write {key}= instead of {other}=" if other else f"+{key}=...{about}"
        return Mistake(f"{key} is missing", where="command line", fix=fix)
    if detail["type"] == "literal_error":
        known = admitted_names(detail)
        fix = did_you_mean(str(detail["input"]), known) or f"choose one of these{about}"
        return Mistake(f"{key} can't be {detail['input']!r}", "command line", known, fix)
    if not key:  # a rule about several options: its message names them
        return Mistake(message, where="command line")
    return Mistake(f"{key}: {message} (got {detail['input']!r})", where="command line", fix=f"+{key}=...{about}")


def _written_instead(key: str, model: type[BaseModel], values: Mapping[Any, Any]) -> str | None:
    """Return a key that was given and isn't an option, but is the beginning of one or similar to it."""
    others = [str(other) for other in values if other not in model.model_fields]
    return next((other for other in others if key.startswith(f"{other}_")), closest(key, others, cutoff=0.8))
