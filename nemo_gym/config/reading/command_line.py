"""Command-line arguments in Hydra's override grammar, as plain values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.bare_arguments import SHAPE, fix_for_bare_argument
from nemo_gym.config.reading.environments import find_environment
from nemo_gym.config.reading.limits import TOO_DEEP
from nemo_gym.config.secrets import MASK, is_secret_key, mask_text

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


_MAX_SHOWN = 200
_HELP_FLAGS = ("-h", "--help")
_HELP_KEYS = ("h", "help")
_NEITHER = "is neither key=value nor a .yaml file, nor the name or folder of an environment"


@dataclass(frozen=True)
class CommandLine:
    """What the arguments of a command say.

    Attributes:
        overrides: Plain nested values, dots of the keys unfolded, interpolations not resolved.
        config_paths: Configuration files and environments named as arguments; they come after those of
            `config_paths=[...]`.
        help: The person asks what the command does.
    """

    overrides: dict[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets
    config_paths: tuple[str, ...] = ()
    help: bool = False


def parse_command_line(argv: Sequence[str], options: type[BaseModel] | None = None) -> CommandLine:
    """Read arguments without the program's name: overrides, YAML files, environments, a request for help.

    `key=value`, `+key=value` and `++key=value` mean the same; a later one wins. The command's options, where they are
    given, only help to say what was meant.

    Raises:
        ConfigError: With every argument that can't be read.
    """
    overrides: dict[str, Any] = {}
    config_paths: list[str] = []
    mistakes: list[Mistake] = []
    wants_help = False
    for argument in argv:
        if argument in _HELP_FLAGS:
            wants_help = True
        elif _is_configuration(argument):
            config_paths.append(argument)
        else:
            try:
                override = _parse(argument, options)
                _set(overrides, str(override.key_or_group).split("."), override.value())
            except ConfigError as error:
                mistakes += error.mistakes
    if mistakes:
        raise ConfigError(*mistakes)
    asked = [overrides.pop(key) for key in _HELP_KEYS if isinstance(overrides.get(key), bool)]
    return CommandLine(overrides, tuple(config_paths), wants_help or any(asked))


def _is_configuration(argument: str) -> bool:
    """Tell whether an argument names a configuration file, or an environment."""
    if "=" in argument or not argument or argument[0] in "-~+":
        return False
    return argument.endswith((".yaml", ".yml")) or find_environment(argument) is not None


def _parse(argument: str, options: type[BaseModel] | None) -> "Override":
    # Imported here: Hydra's grammar takes 0.4 s, which a command without arguments needn't wait for.
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if argument.startswith("~"):
        raise _bad(argument, "deletes a key, which isn't supported", fix="set it instead: key=null")
    if "=" not in argument:
        raise _bad(argument, _NEITHER, fix=fix_for_bare_argument(argument, options))
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        raise _bad(argument, "can't be read", fix=_fix_for_syntax(argument)) from None  # the cause quotes secrets
    except RecursionError:
        raise _bad(argument, TOO_DEEP, fix="write the value into a configuration file") from None
    if override.package is not None:
        raise _bad(argument, "has an '@' in its key", fix=SHAPE)
    if override.is_sweep_override():
        key, _, value = argument.partition("=")
        raise _bad(argument, "is a sweep over several values", fix=f"a list is written '{_safe(key, f'[{value}]')}'")
    return override


def _set(target: dict[str, Any], keys: list[str], value: Any) -> None:
    *above, last = keys
    for key in above:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    if isinstance(value, dict) and isinstance(target.get(last), dict):
        for key, item in value.items():
            _set(target[last], [key], item)
    else:
        target[last] = value


def _bad(argument: str, problem: str, *, fix: str) -> ConfigError:
    key, equals, value = argument.partition("=")
    shown = (_safe(key, value) if equals else argument)[:_MAX_SHOWN]
    return ConfigError(Mistake(f"argument '{shown}' {problem}", where="command line", fix=fix))


def _safe(key: str, value: str) -> str:
    names = [key.lstrip("+-~"), *re.findall(r"[\w\-]+(?=\s*:)", value)]  # those inside {api_key: ...} too
    secret = any(map(is_secret_key, names))
    return f"{key}={MASK if secret else mask_text(value)}"


def _fix_for_syntax(argument: str) -> str:
    key, _, value = argument.partition("=")
    name = key.lstrip("+-")
    if key.startswith("-"):
        return f"write {_safe(name, value)}"
    if not re.fullmatch(r"[A-Za-z_][\w.\-/]*", name):
        return SHAPE
    if value[:1] in ("[", "{"):
        return "check brackets and commas, and quote items with special characters: '" + name + '=["a b","c"]\''
    return "quote a value with special characters: '" + _safe(name, f'"{value}"') + "'"
