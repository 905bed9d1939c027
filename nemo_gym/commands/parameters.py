"""The parameters of a command as text: name, type, default and meaning, in 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from nemo_gym.commands.console import COMMANDS, short_name
from nemo_gym.config.keys import HEAD_SERVER_KEY_NAME
from nemo_gym.config.schema import HeadSettings, RunSettings

WIDTH = 80
_GAP = "  "
_INDENT = "    "
_REQUIRED = "required"
_HEADER = ("parameter", "type", "default")
_WORDS = {int: "integer", float: "number", str: "text", bool: "true/false", Path: "path", dict: "mapping", Any: "any"}


class PolicySettings(BaseModel):
    """The policy model, as configurations refer to it."""

    policy_base_url: str | list[str] | None = Field(default=None, description="URL of the policy model, or several.")
    policy_api_key: str | None = Field(default=None, description="Its API key; better in env.yaml than here.")
    policy_model_name: str | None = Field(default=None, description="The name its endpoint knows it by.")


@dataclass(frozen=True)
class Parameter:
    """One parameter in words."""

    name: str
    type: str
    default: str
    meaning: str


def print_help(command: str, doc: str, options: type[BaseModel]) -> None:
    """Print what a command does and tables of its parameters and of the settings it reads."""
    paragraphs = f"{command}: {doc.strip()}".split("\n\n")
    print("\n\n".join(textwrap.fill(" ".join(text.split()), WIDTH) for text in paragraphs))
    own = sorted(parameters(options), key=lambda parameter: parameter.default != _REQUIRED)
    print("\n" + "\n".join(table(own) if own else ["No parameters."]))
    settings = [setting for setting in _settings(command) if setting.name not in {parameter.name for parameter in own}]
    if settings:
        print("\nSettings of the run, here or in a configuration file:\n")
        print("\n".join(table(settings)))
    print("\nArguments are written key=value; +key=value and ++key=value mean the same.")
    if _reads(command) == "all":
        print(
            "Any other key of the configuration can be set the same way, for example:\n<name>.<kind>.<folder>.port=8001"
        )


def parameters(model: type[BaseModel], above: str = "", meaning: str = "") -> Iterator[Parameter]:
    """Yield the fields of a model, those of a model inside it with dotted names.

    Args:
        model: Its descriptions are the meanings.
        above: Dotted name of the model, with a dot at the end; "" for the outermost.
        meaning: That of fields without a description.
    """
    for name, field in model.model_fields.items():
        said = field.description or meaning
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _of_nested(field, f"{above}{name}.", said)
        else:
            yield Parameter(above + name, type_in_words(field.annotation), _default(field), said)


def type_in_words(annotation: Any) -> str:
    """Return a type as a person says it: `integer`, `list of text`, `one of a, b`, `integer or "auto"`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(arguments[0])
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_in_words(part) for part in arguments if part is not type(None))
    if origin is list and arguments:
        return f"list of {type_in_words(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _one_of(member.value for member in annotation)
    return _WORDS.get(origin or annotation, getattr(annotation, "__name__", str(annotation)))


def table(rows: Iterable[Parameter]) -> list[str]:
    """Return the lines of a table: names are never cut, and the meaning is below its row."""
    rows = list(rows)
    name_width = max(len(row.name) for row in (*rows, Parameter(*_HEADER, "")))
    default_width = max(len(row.default) for row in (*rows, Parameter(*_HEADER, "")))
    room = max(WIDTH - name_width - default_width - 2 * len(_GAP), 12)
    type_width = min(max(len(row.type) for row in (*rows, Parameter(*_HEADER, ""))), room)
    lines = [_GAP.join((_HEADER[0].ljust(name_width), _HEADER[1].ljust(type_width), _HEADER[2]))]
    for row in rows:
        first, *more = textwrap.wrap(row.type, type_width) or [""]
        lines.append(_GAP.join((row.name.ljust(name_width), first.ljust(type_width), row.default)).rstrip())
        lines += [" " * (name_width + len(_GAP)) + line for line in more]
        lines += textwrap.wrap(row.meaning, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return lines


def _of_nested(field: FieldInfo, above: str, meaning: str) -> Iterator[Parameter]:
    assert isinstance(field.annotation, type)
    outer = None if field.is_required() else field.get_default(call_default_factory=True)
    for inner in parameters(field.annotation, above, meaning):
        given = getattr(outer, inner.name.removeprefix(above), None)
        yield inner if given is None else Parameter(inner.name, inner.type, _shown(given), inner.meaning)


def _settings(command: str) -> list[Parameter]:
    reads = _reads(command)
    if reads == "all":
        return [*parameters(PolicySettings), *parameters(RunSettings)]
    if reads == "head":
        head = RunSettings().head_server
        return [
            Parameter(p.name, p.type, _shown(getattr(head, p.name.partition(".")[2])), p.meaning)
            for p in parameters(HeadSettings, f"{HEAD_SERVER_KEY_NAME}.")
            if not p.name.endswith("bind_host")
        ]
    return []


def _reads(command: str) -> str | None:
    known = COMMANDS.get(short_name(command))
    return known.settings if known else None


def _one_of(values: Iterable[Any]) -> str:
    listed = list(values)
    return f'"{listed[0]}"' if len(listed) == 1 else f"one of {', '.join(map(str, listed))}"


def _default(field: FieldInfo) -> str:
    return _REQUIRED if field.is_required() else _shown(field.get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
