"""What a program says of its policy model, as the configuration of a model server."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import ENTRYPOINT_KEY_NAME, MODELS_KIND
from nemo_gym.servers.http.head_lookup import get_json
from nemo_gym.servers.runs.access import RunAccess

POLICY = "policy_model"
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY_ENV = "OPENAI_API_KEY"

AnswerFunction = Callable[[dict[str, Any]], Any]
"""Gets the Responses create parameters of a model call, and returns the answer: its text, or an answer as the scripted
model writes it, such as `{"call": {"name": ..., "arguments": {...}}}`. May be a coroutine function."""

ModelChoice = str | Mapping[str, Any] | AnswerFunction
"""The policy model: "local"; the URL of an endpoint; a model's name at OpenAI; the configuration of a model server; or
a function that answers in its place."""

_ENDPOINT_ANSWERS_WITHIN_S = 10.0


def model_block(model: ModelChoice, name: str | None = None, api_key: str | None = None) -> dict[str, Any]:
    """Return the block of the instance `policy_model`.

    Args:
        model: What the program said.
        name: Of the model at its endpoint; None: the only one that the endpoint has.
        api_key: Of the endpoint; None: that of the environment variable OPENAI_API_KEY, for OpenAI alone.

    Raises:
        ConfigError: It can't be told which model is meant, or a key is missing.
    """
    if callable(model):
        return _block("scripted_model", {})
    if isinstance(model, Mapping):
        return _given(model)
    if model == "local":
        return _block("local_model", {})
    if "://" in model:
        named = name or _only_model(model, api_key)
        return _block("vllm_model", {"base_url": model, "api_key": api_key or "", "model": named})
    key = api_key or os.environ.get(OPENAI_KEY_ENV)
    if key is None:
        fix = f"set {OPENAI_KEY_ENV}, or gym(..., api_key=...); for another endpoint: model=URL, model_name={model!r}; "
        what = f"model {model!r} is taken for one of OpenAI's, and there is no key"
        raise ConfigError(Mistake(what, where="model", fix=fix + 'without a key: model="local"'))
    return _block("openai_model", {"openai_base_url": OPENAI_URL, "openai_api_key": key, "openai_model": model})


def _given(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block given as `{implementation: {settings}}`, with or without its kind around it."""
    inner = model.get(MODELS_KIND, model)
    if not (isinstance(inner, Mapping) and len(inner) == 1 and isinstance(next(iter(inner.values())), Mapping)):
        fix = 'write {"vllm_model": {"base_url": ..., "model": ...}}, or another server of responses_api_models/'
        raise ConfigError(Mistake("a model given as a dictionary has one implementation", where="model", fix=fix))
    ((implementation, settings),) = inner.items()
    return _block(implementation, settings)


def _block(implementation: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {MODELS_KIND: {implementation: {ENTRYPOINT_KEY_NAME: "app.py", **settings}}}


def _only_model(url: str, api_key: str | None) -> str:
    fix = "gym(..., model_name=...)"
    try:
        listed = get_json(f"{url.rstrip('/')}/models", RunAccess(api_key), _ENDPOINT_ANSWERS_WITHIN_S)
        names = [str(entry["id"]) for entry in listed["data"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{url} doesn't say which models it has: {getattr(error, 'reason', None) or error}"
        raise ConfigError(Mistake(what, where="model", fix=f"check the URL, or name the model: {fix}")) from error
    if len(names) != 1:
        raise ConfigError(Mistake(f"{url} has {len(names)} models", where="model", known=names, fix=fix))
    return names[0]
