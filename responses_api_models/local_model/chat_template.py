"""The chat template: the one in the GGUF file, or a Jinja file in its place."""

from pathlib import Path

from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import EngineError, RefusedRequestError
from responses_api_models.local_model.weights import WeightsError

# Tools are declared in the system message, their results are said by the user.
_PROBE = [
    {"role": "system", "content": "probe-of-the-system-message"},
    {"role": "user", "content": "probe-of-the-user"},
    {"role": "assistant", "content": "probe-of-the-assistant"},
    {"role": "user", "content": "probe-of-a-tool-result"},
]
_FIX = "set chat_template to a Jinja file that fits the model"


def read_chat_template(path: str | None) -> str | None:
    """Return the text of a Jinja file, `~` allowed; None for None.

    Raises:
        WeightsError: There is no such file, or it isn't text.
    """
    if path is None:
        return None
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"chat_template {path!r} can't be read ({error}): name a Jinja file, or leave it out"
        ) from error


async def find_turn_end(engine: Engine) -> int | None:
    """Return the id of the special token that the template writes after an answer; None if it writes none.

    Makes sure that the template writes out everything that local_model says to the model.

    Raises:
        WeightsError: It fails, or leaves something out, such as the system message, which declares the tools.
    """
    try:
        rendered = await engine.render(_PROBE)
    except (EngineError, RefusedRequestError) as error:
        raise WeightsError(f"the model's chat template can't render a conversation ({error}): {_FIX}") from error
    lost = [message["content"].removeprefix("probe-of-") for message in _PROBE if message["content"] not in rendered]
    if lost:
        raise WeightsError(
            f"the model's chat template leaves out {', '.join(lost)}, "
            f"so the model can't be told of tools and their results: {_FIX}"
        )
    _, _, after = rendered.partition(_PROBE[2]["content"])
    as_text = set(await engine.tokenize(after, parse_special=False))
    return next((token for token in await engine.tokenize(after) if token not in as_text), None)
