"""Typed configuration that can be printed: secrets are masked in `repr`, `str`, rich, and validation errors.

The fields themselves stay plain text: a server hands `config.openai_api_key` to its client, and `model_dump` is exact.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from nemo_gym.config.secrets import MASK, is_secret_key, mask_secrets


class MaskedRepr(BaseModel):
    """A model whose representation shows "****" for what `is_secret_key` names, at any depth."""

    model_config = ConfigDict(hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, _shown(name, value)) for name, value in super().__repr_args__()]


def _shown(name: str | None, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value if isinstance(value, MaskedRepr) else _Nested(value)
    if isinstance(value, list | tuple) and any(isinstance(item, BaseModel) for item in value):
        return [_shown(name, item) for item in value]
    if name is not None and is_secret_key(name) and isinstance(value, bytes):
        return MASK
    masked = mask_secrets({name or "": value})
    return masked[name or ""]


class _Nested:
    """A model of somebody else inside ours, as it is printed."""

    def __init__(self, model: BaseModel) -> None:
        args = ((name, _shown(name, value)) for name, value in model.__repr_args__())
        self._text = f"{type(model).__name__}({', '.join(f'{name}={value!r}' for name, value in args)})"

    def __repr__(self) -> str:
        return self._text
