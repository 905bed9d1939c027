"""Settings of a server that nothing reads: misspelt ones are mistakes, others may inform people."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel

from nemo_gym.config.checks.blocks import Block
from nemo_gym.config.errors import Mistake, closest
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import MergedConfig
from nemo_gym.config.schema import InstanceSettings

# High, since a server has settings of its own that may resemble another by chance.
_CUTOFF = 0.85
_INFORMATIONAL = ("description", "verified")


@dataclass(frozen=True)
class UnknownKeys:
    """Settings that a server's configuration class doesn't have.

    Attributes:
        mistakes: One for each key that is nearly the name of a setting.
        plain: The other keys, in order.
    """

    mistakes: tuple[Mistake, ...] = ()
    plain: tuple[str, ...] = ()


def unknown_keys(config_class: type[BaseModel], settings: Mapping[str, Any], where: str) -> UnknownKeys:
    """Return the keys of an instance's innermost block that its configuration class doesn't have.

    Args:
        config_class: The class that types the block. One that allows extra fields knows every key.
        settings: The block as plain values.
        where: Place of the block, for the mistakes: e.g. the instance's name.
    """
    if config_class.model_config.get("extra") == "allow":
        return UnknownKeys()
    known = [*_names(config_class), *InstanceSettings.model_fields, *_INFORMATIONAL]
    unknown = [str(key) for key in settings if key not in known]
    matches = {key: closest(key, known, cutoff=_CUTOFF) for key in unknown}
    mistakes = (_misspelt(key, match, f"{where}.{key}") for key, match in matches.items() if match)
    return UnknownKeys(tuple(mistakes), tuple(key for key, match in matches.items() if not match))


def check_shared_keys(block: Block, folder: Path, merged: MergedConfig) -> list[Finding]:
    """Return the keys of a block that are nearly the name of a setting that all servers share.

    A key that the component's own code mentions is a setting of that component, whatever it resembles. `folder` is the
    component's.
    """
    known = [*InstanceSettings.model_fields, *_INFORMATIONAL]
    findings = []
    for key in (str(key) for key in block.settings if key not in known):
        match = closest(key, known, cutoff=_CUTOFF)
        # A required one that is missing is reported as that, with the key to rename.
        is_reported = match in ("entrypoint", "domain") and match not in block.settings
        if match and not is_reported and not _is_mentioned(key, folder):
            path = (*block.path, key)
            findings.append(Finding(_misspelt(key, match, merged.where(*path)), (path,)))
    return findings


def _misspelt(key: str, match: str, where: str) -> Mistake:
    return Mistake(f"unknown setting '{key}'", where, fix=f"did you mean '{match}'?")


def _names(config_class: type[BaseModel]) -> Iterable[str]:
    for name, field in config_class.model_fields.items():
        yield name
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        yield from (choice for choice in choices if isinstance(choice, str))


def _is_mentioned(word: str, folder: Path) -> bool:
    pattern = re.compile(rf"\b{re.escape(word)}\b")
    return any(pattern.search(file.read_text(encoding="utf-8", errors="replace")) for file in folder.rglob("*.py"))
