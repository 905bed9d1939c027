"""One rollout's dealings with its resources server: seed, call tools, verify, close."""

import asyncio
import contextlib
from typing import Any

import orjson

from nemo_gym.base_responses_api_agent import RawRunRequest
from nemo_gym.openai_utils import RawResponse
from nemo_gym.server_utils import (
    SESSION_ID_HEADER,
    SESSION_KEPT_HEADER,
    Deadline,
    HttpResponse,
    RolloutError,
    ServerClient,
    Stage,
    failure_of,
    new_session_id,
)

CLOSE_TIMEOUT_S = 5.0
_NEVER_VERDICTS = ("session_lost", "session_expired", "input_invalid")


class EnvironmentSession:
    """The session of one rollout at one resources server; its cookies are those of the last answer.

    Args:
        sessionless: Servers that said they never keep a session; shared by the rollouts of an agent, which open none
            there.
    """

    def __init__(
        self,
        client: ServerClient,
        server_name: str,
        cookies: dict[str, Any] | None = None,
        sessionless: set[str] | None = None,
    ) -> None:
        self._client = client
        self._sessionless = sessionless if sessionless is not None else set()
        self._server = server_name
        self.cookies: dict[str, Any] = dict(cookies or {})
        self._id_header: dict[str, str] = {}
        self._is_open = False

    async def seed(self, row: RawRunRequest, deadline: Deadline) -> None:
        """Open the session. Its id is ours, so a seed whose answer was lost can be sent again."""
        if self._server in self._sessionless:
            return
        self._id_header = {SESSION_ID_HEADER: new_session_id()}
        self._is_open = True  # until we know better: whoever is cancelled meanwhile has it closed by its id
        answer = await self._post(
            "/seed_session", "seed", json=row, headers=self._id_header, deadline=deadline, replay_safe=True
        )
        self._is_open = answer.headers.get(SESSION_KEPT_HEADER) == "1"
        if answer.headers.get(SESSION_KEPT_HEADER) == "0":
            self._sessionless.add(self._server)

    async def call_tool(self, name: str, arguments: dict[str, Any], deadline: Deadline) -> HttpResponse:
        """POST the arguments to the tool and return the answer whatever its status; raises transport failures."""
        answer = await self._client.post(
            server_name=self._server, url_path=f"/{name}", json=arguments, cookies=self.cookies, deadline=deadline
        )
        self.cookies.update(answer.cookies)
        return answer

    async def verify(self, row: RawRunRequest, response: RawResponse, deadline: Deadline) -> HttpResponse:
        """Return the verdict. A failure carries the verify request, so that it can be verified later."""
        request = row.json_with(response=response)
        try:
            return await self._post("/verify", "verification", json=request, deadline=deadline)
        except RolloutError as error:
            if error.failure.kind in _NEVER_VERDICTS:
                self._sessionless.discard(self._server)  # another server may have taken its place
                raise
            raise RolloutError(error.failure, trajectory=orjson.loads(request.json_text)) from error

    async def close(self) -> None:
        """Close the session if the server keeps it; never raises, never takes longer than its bound."""
        if not self._is_open:
            return
        self._is_open = False
        deadline = Deadline(CLOSE_TIMEOUT_S, "the bound of closing a session")
        with contextlib.suppress(RolloutError):  # an unclosed session expires
            await asyncio.shield(
                asyncio.ensure_future(
                    self._client.post(
                        server_name=self._server,
                        url_path="/close_session",
                        headers=self._id_header,
                        cookies=self.cookies,
                        deadline=deadline,
                    )
                )
            )

    async def _post(self, path: str, stage: Stage, **options: Any) -> HttpResponse:
        try:
            answer = await self._client.post(server_name=self._server, url_path=path, cookies=self.cookies, **options)
            if not answer.ok:
                raise failure_of(answer)
        except RolloutError as error:
            if error.failure.stage is None:
                error.failure = error.failure.model_copy(update={"stage": stage})
            raise
        self.cookies.update(answer.cookies)
        return answer
