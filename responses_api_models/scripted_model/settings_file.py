"""Settings from a YAML file, for the scripted model that runs without the launcher."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict

from responses_api_models.scripted_model.settings import ScriptedSettings

_LAUNCHER_KEYS = frozenset({"name", "entrypoint", "host", "port", "num_workers", "ray_enabled", "datasets"})


class _StrictSettings(ScriptedSettings):
    model_config = ConfigDict(extra="forbid")


def load_settings(path: Path) -> ScriptedSettings:
    """Read the settings themselves, or the scripted model's instance out of a file for `ng_run`.

    Interpolations (`${...}`) belong to `ng_run` and are not resolved here.

    Raises:
        OSError: The file cannot be read.
        yaml.YAMLError: The file is no YAML.
        pydantic.ValidationError: A setting is unknown or out of its range; all of them are named.
    """
    written = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    instance = _instance(written)
    return _StrictSettings.model_validate(written if instance is None else instance)


def _instance(written: Any) -> dict[str, Any] | None:
    """Return the block below `<instance>.responses_api_models.scripted_model`, without what the launcher reads."""
    blocks = written.values() if isinstance(written, dict) else ()
    for block in blocks:
        kind = block.get("responses_api_models") if isinstance(block, dict) else None
        if isinstance(kind, dict) and isinstance(kind.get("scripted_model"), dict):
            settings = kind["scripted_model"]
            return {key: value for key, value in settings.items() if key not in _LAUNCHER_KEYS}
    return None
