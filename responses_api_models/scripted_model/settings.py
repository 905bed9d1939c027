"""Everything about the scripted model that can be configured, in a run or in a file of its own."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from nemo_gym import PARENT_DIR
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model.faults import Fault
from responses_api_models.scripted_model.script import Answer, Latency, Rule

_LAUNCHER_KEYS = frozenset({"name", "entrypoint", "host", "port", "num_workers", "ray_enabled", "datasets"})


class ScriptedSettings(BaseModel):
    """What the scripted model answers, how fast, and what goes wrong on purpose."""

    model_name: str = Field(default="scripted-model", description="Name reported when the request names no model.")
    unknown_model_error: Literal["openai", "vllm"] | None = Field(
        default=None, description="Refuse every other model name with 404 in this form; absent: any name is answered."
    )
    apis: list[Literal["responses", "chat"]] = Field(
        default=["responses", "chat"], min_length=1, description="APIs that exist here; the other one's path is a 404."
    )
    rules: list[Rule] = Field(default_factory=list, description="Answers by condition; the first that holds wins.")
    default_answer: Answer = Field(default=Answer(message="Done."), description="Answer when no rule holds.")
    latency_s: Latency = Field(default=0.0, description="Seconds or [min, max] before each answer.")
    faults: list[Fault] = Field(default_factory=list, description="Faults on demand; the first that strikes wins.")
    seed: int = Field(default=0, description="Seed of the draws for rates and latencies.")
    return_token_id_information: bool = Field(
        default=False, description="Responses carry token data; chat completions do where the request asks for it."
    )
    weight_version: int | None = Field(
        default=None, ge=0, description="Reported as `weight_version` in answers; absent: not before an update."
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key wanted by /v1 routes as `Authorization: Bearer`; absent: none is wanted."
    )
    keep_requests: int = Field(
        default=100, ge=0, le=100_000, description="Request bodies kept for GET /script/requests."
    )
    keep_request_bytes: int = Field(default=64_000_000, ge=0, description="Bytes of kept request bodies, all together.")


class _StrictSettings(ScriptedSettings):
    model_config = ConfigDict(extra="forbid")


def load_settings(path: Path) -> ScriptedSettings:
    """Read the settings themselves, or the scripted model's instance out of a file for `ng_run`.

    A relative path is looked for in the current folder, then in the project root, where the shipped files are, in a
    checkout and in an installation alike. Interpolations (`${...}`) belong to `ng_run` and are not resolved here.

    Raises:
        OSError: The file cannot be read.
        yaml.YAMLError: The file isn't YAML.
        pydantic.ValidationError: A setting is unknown or out of its range; all of them are named.
    """
    shipped = PARENT_DIR / path
    found = shipped if shipped.exists() and not path.exists() else path
    written = yaml.safe_load(found.read_text(encoding="utf-8")) or {}
    instance = _instance(written)
    return _StrictSettings.model_validate(written if instance is None else instance)


def _instance(written: Any) -> JsonObject | None:
    """Return the block below `<instance>.responses_api_models.scripted_model`, without what the launcher reads."""
    blocks = written.values() if isinstance(written, dict) else ()
    for block in blocks:
        kind = block.get("responses_api_models") if isinstance(block, dict) else None
        if isinstance(kind, dict) and isinstance(kind.get("scripted_model"), dict):
            settings = kind["scripted_model"]
            return {key: value for key, value in settings.items() if key not in _LAUNCHER_KEYS}
    return None
