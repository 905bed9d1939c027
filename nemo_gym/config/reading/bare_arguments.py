"""What to write instead of an argument that is neither key=value nor a configuration."""

import os
import re
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nemo_gym.config.errors import did_you_mean
from nemo_gym.config.paths import component_configs
from nemo_gym.config.reading.environments import known_environments

SHAPE = "write key=value, for example policy_model_name=my-model"
_MAX_FILES_SHOWN = 3


def fix_for_bare_argument(argument: str, options: type[BaseModel] | None) -> str:
    """Say what was probably meant.

    Args:
        argument: As it was typed, without a "=".
        options: The options of the command, where they are known.
    """
    fields = options.model_fields if options is not None else {}
    name = argument.lstrip("-+")
    if name in fields:
        return f"write {name}={'true' if fields[name].annotation is bool else '...'}"
    if re.search(r"\.ya?ml,", argument):
        return "separate configuration files by spaces, without commas: a.yaml b.yaml"
    meant = did_you_mean(argument, [environment.name for environment in known_environments()])
    if meant is not None:
        return f"{meant}, or see ng_list"
    files = [path for path in component_configs() if f"/{argument.strip('/')}/configs/" in f"/{path}"]
    if files:
        return f"name its configuration file: {' or '.join(files[:_MAX_FILES_SHOWN])}"
    key = key_for(argument, fields)
    if key is not None:
        return f"write {key}={argument}"
    is_flag = name != argument and re.fullmatch(r"[A-Za-z_][\w.]*", name)
    return f"write {name}=value" if is_flag else f"{SHAPE}; ng_list names the environments, --help the keys"


def key_for(argument: str, fields: Mapping[str, FieldInfo]) -> str | None:
    """Return the option whose value an argument probably is: the input, if it exists; else the only required option."""
    required = [key for key, field in fields.items() if field.is_required()]
    inputs = [key for key in fields if key.startswith("input")]
    if inputs and os.path.exists(argument):
        return inputs[0]
    return required[0] if len(required) == 1 and not argument.startswith("-") else None
