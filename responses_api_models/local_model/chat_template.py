"""The chat template: the one in the GGUF file, or a Jinja file in its place."""

from pathlib import Path

from nemo_gym.config.errors import ConfigError, Mistake
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import EngineError, RefusedRequestError

# Tools are declared in the system message, their results are said by the user.
_PROBE = [
    {"role": "system", "content": "probe-of-the-system-message"},
    {"role": "user", "content": "probe-of-the-user"},
    {"role": "assistant", "content": "probe-of-the-assistant"},
    {"role": "user", "content": "probe-of-a-tool-result"},
]


def read_chat_template(path: str | None) -> str | None:
    """Return the text of a Jinja file, `~` allowed; None for None.

    Raises:
        ConfigError: There is no such file, or it isn't text.
    """
    if path is None:
        return None
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        what, fix = f"{path!r} can't be read: {error}", "name a Jinja file, or leave chat_template out"
        raise ConfigError(Mistake(what, where="chat_template", fix=fix)) from error


async def find_turn_end(engine: Engine) -> int | None:
    """Return the id of the special token that the template writes after an answer; None if it writes none.

    Makes sure that the template writes out everything that local_model says to the model.

    Raises:
        ConfigError: It fails, or leaves something out, such as the system message, which declares the tools.
    """
    try:
        rendered = await engine.render(_PROBE)
    except (EngineError, RefusedRequestError) as error:
        raise _mistake(f"can't render a conversation: {error}") from error
    lost = [message["content"].removeprefix("probe-of-") for message in _PROBE if message["content"] not in rendered]
    if lost:
        raise _mistake(f"leaves out {', '.join(lost)}, so the model can't be told of tools and their results")
    _, _, after = rendered.partition(_PROBE[2]["content"])
    as_text = set(await engine.tokenize(after, parse_special=False))
    return next((token for token in await engine.tokenize(after) if token not in as_text), None)


def _mistake(problem: str) -> ConfigError:
    what = f"the model's chat template {problem}"
    return ConfigError(Mistake(what, where="chat_template", fix="name a Jinja file that fits the model"))
