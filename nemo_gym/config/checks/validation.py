"""What pydantic finds wrong with a piece of configuration, in the words of this project."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nemo_gym.config.errors import Mistake, admitted_names, closest, did_you_mean
from nemo_gym.config.keys import ENTRYPOINT_KEY_NAME
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import KeyPath, dotted
from nemo_gym.config.schema import Domain
from nemo_gym.config.secrets import MASK, is_secret_key, mask_secrets, mask_text

_Model = TypeVar("_Model", bound=BaseModel)
_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "list": "a list",
    "model": "a mapping",
    "dict": "a mapping",
}
_MAX_VALUE_SHOWN = 80
_SETTING_DEPTH = 4  # instance, kind, implementation, setting


def validated(
    model: type[_Model], values: Any, above: KeyPath, left_out: set[KeyPath], where: Callable[..., str]
) -> tuple[_Model | None, list[Finding]]:
    """Check plain values against a model.

    Args:
        model: The typed shape.
        values: The value at `above`.
        above: Keys from the top of the configuration down to `values`.
        left_out: Values that can't be resolved: already reported, so their absence isn't another mistake.
        where: Gives the file and key of a path, as mistakes show them.

    Returns:
        The model, or None with what is wrong.
    """
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        findings = []
        for problem in error.errors(include_url=False):
            path = (*above, *problem["loc"])
            if path not in left_out:
                findings.append(Finding(_mistake(problem, path, where), (path,)))
        return None, findings


def _mistake(problem: Any, path: KeyPath, where: Callable[..., str]) -> Mistake:
    key, value, kind = str(path[-1]), problem["input"], problem["type"]
    shown = f"{_name(path)} is {_shown(key, value)}"
    if kind == "missing":
        return _missing(key, path, value, where)
    if kind in ("enum", "literal_error"):
        known = admitted_names(problem)
        return Mistake(
            f"{shown}, which isn't known", where(*path), known, did_you_mean(str(value), known) or "choose one of these"
        )
    if key == "port" and kind in ("greater_than_equal", "less_than_equal"):
        fix = "leave it out for a free port" if len(path) > 2 else None
        return Mistake(f"{shown}, out of range", where(*path), ["1 to 65535"], fix)
    expected = _EXPECTED.get(kind.rpartition("_")[0]) or _EXPECTED.get(kind.partition("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float")):
        return Mistake(f"{shown}, not {expected}", where(*path), fix=f"write {expected}")
    return Mistake(f"{shown}: {problem['msg'][0].lower()}{problem['msg'][1:]}", where(*path))


def _missing(key: str, path: KeyPath, siblings: Any, where: Callable[..., str]) -> Mistake:
    present = [str(name) for name in siblings] if isinstance(siblings, dict) else []
    typo = closest(key, present, cutoff=0.75)
    fix = f"rename '{typo}' to '{key}'" if typo else f"add {key}: ... there"
    known: list[str] = []
    if key == "domain":
        known = [domain.value for domain in Domain]
        fix = fix if typo else "add domain: ... there; 'other' when none fits"
    elif key == ENTRYPOINT_KEY_NAME and not typo:
        fix = "add entrypoint: app.py (the script in the component's folder that serves)"
    owner = f"server '{path[0]}'" if len(path) == _SETTING_DEPTH else _name(path[:-1])
    return Mistake(f"{owner} has no {key}", where(*path), known, fix)


def _name(path: KeyPath) -> str:
    return dotted(path[-2:]) if isinstance(path[-1], int) else str(path[-1])


def _shown(key: str, value: Any) -> str:
    return MASK if is_secret_key(key) else mask_text(repr(mask_secrets(value)))[:_MAX_VALUE_SHOWN]
