"""Does the engine's chat template show the model its tools? Many don't, and then no tool is ever called."""

import asyncio
from typing import Any

from nemo_gym.models.chat.tools import chat_tools
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI
from nemo_gym.server_utils import RolloutError, rollout_error
from nemo_gym.wire.json_object import JsonObject

_MESSAGES = [{"role": "user", "content": "x"}]


class TemplateCheck:
    """Looks once, before the first request that declares tools, where the engine has `/tokenize`.

    Args:
        client: Client of the endpoints.
        name: The model server, for errors.
        model: Name of the model at the endpoints.
    """

    def __init__(self, client: NeMoGymAsyncOpenAI, name: str, model: str) -> None:
        self._client = client
        self._name = name
        self._model = model
        self._is_good: bool | None = None  # None: not looked yet
        self._looking = asyncio.Lock()

    async def check(self, tools: list[Any] | None) -> None:
        """Return when the template shows these tools, or nobody can tell.

        Raises:
            RolloutError: `model_bad_request`: it leaves them out; or what the client raises.
        """
        if not tools or self._is_good:
            return
        async with self._looking:
            if self._is_good is None:
                self._is_good = await self._shows(chat_tools(tools))
        if not self._is_good:
            raise leaves_tools_out(self._name, "start the engine with a template that knows tools (--chat-template)")

    async def _shows(self, tools: list[JsonObject]) -> bool:
        ask = self._client.create_tokenize
        try:
            plain, with_tools = await asyncio.gather(
                ask(model=self._model, messages=_MESSAGES), ask(model=self._model, messages=_MESSAGES, tools=tools)
            )
        except RolloutError as error:
            if error.failure.kind != "model_bad_request":
                raise
            return True  # the engine can't tell, or the request itself will be refused and say why
        return "tokens" not in plain or plain["tokens"] != with_tools.get("tokens")


def leaves_tools_out(server: str, fix: str) -> RolloutError:
    """Return the failure for a template that shows the model no tools."""
    reason = f"{server}: the model's chat template leaves tools out, so none would ever be called: {fix}"
    return rollout_error("model_bad_request", reason, server=server)
