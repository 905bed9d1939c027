"""One session of an environment, and what a rollout of it came to."""

from collections.abc import Mapping
from typing import Any

import orjson

from nemo_gym.environments.rollout import Rollout
from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.sessions.environment import EnvironmentSession
from nemo_gym.servers.sessions.tool_calls import run_tool_call
from nemo_gym.testing.words import Item, call, numbered, response, tool_result
from nemo_gym.wire.environment import BaseVerifyResponse, RawRunRequest
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse

DEADLINE = Deadline(600.0, "the bound of a call in a test")
_MAX_RESULT_CHARS = 200_000


class Scored(Rollout):
    """A rollout with its verdict: what verifiers see of it, and

    Attributes:
        reward: Higher is better.
        row: The whole row, as a collection would write it.
    """

    def __init__(self, row: JsonObject) -> None:
        super().__init__(BaseVerifyResponse.model_validate(row))
        self.row = row
        self.reward = float(row["reward"])

    @property
    def parts(self) -> Mapping[str, float]:
        """Named parts of the reward; empty without."""
        parts: Mapping[str, float] = self.row.get("reward_parts", {})
        return parts


class Session:
    """An open session: `call` its tools, then `verify`. What was called is the rollout that is verified."""

    def __init__(self, opened: EnvironmentSession, row: JsonObject, tools: set[str]) -> None:
        self._session = opened
        self._row = row
        self._tools = tools
        self.items: list[Item] = []

    async def call(self, name: str, written: str | None = None, /, **arguments: Any) -> str:
        """Call a tool as the simple agent does, and return what the policy reads.

        Arguments as in `nemo_gym.testing.call`. A refusal is text as well; a tool that raises is a `RolloutError`.
        """
        item = call(name, written, **arguments)
        result = await run_tool_call(
            self._session,
            name,
            item.arguments,
            callable_tools=self._tools,
            deadline=DEADLINE,
            max_chars=_MAX_RESULT_CHARS,
        )
        if result.failure is not None:
            raise RolloutError(result.failure)
        self.items += [item, tool_result(result.text)]
        return result.text

    async def verdict(self, *ending: Item | str | NeMoGymResponse) -> Scored:
        """Return the verdict on what was called, followed by `ending`; a Response stands for itself."""
        return Scored(orjson.loads((await self.verify_response(*ending)).body))

    async def verify(self, *ending: Item | str | NeMoGymResponse) -> float:
        """Return the reward; arguments as in `verdict`."""
        return (await self.verdict(*ending)).reward

    async def verify_response(self, *ending: Item | str | NeMoGymResponse) -> HttpResponse:
        """Return the answer to `/verify` as it came."""
        whole = [item for item in ending if isinstance(item, NeMoGymResponse)]
        rest = [item for item in ending if not isinstance(item, NeMoGymResponse)]
        made = whole[0] if whole else response(*numbered([*self.items, *rest]))
        body = {**self._row, "response": made.model_dump(mode="json", exclude_unset=True)}
        return await self._session.verify(RawRunRequest.json_unchecked(orjson.dumps(body)), DEADLINE)
