"""How an agent deals with its resources server: its tools; for each rollout seed, calls, turns, verdict, close."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import HttpResponse, failure_of
from nemo_gym.servers.http.session_ids import (
    SESSION_ID_HEADER,
    SESSION_KEPT_HEADER,
    TAKES_TURNS_HEADER,
    new_session_id,
)
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.sessions.tools import NEXT_TURN_PATH, OfferedTools
from nemo_gym.wire.call_times import CallTimes
from nemo_gym.wire.environment import RawRunRequest, UserTurn
from nemo_gym.wire.failure import RolloutError, Stage, rollout_error

CLOSE_TIMEOUT_S = 5.0
_NEVER_VERDICTS = ("session_lost", "session_expired", "input_invalid")
_JSON = {"content-type": "application/json"}


class EnvironmentClient:
    """One resources server, as an agent deals with it: keeps what all rollouts share.

    Args:
        server_name: The instance.
    """

    def __init__(self, client: ServerClient, server_name: str) -> None:
        self.client = client
        self.server_name = server_name
        self.keeps_no_sessions = False
        self.takes_turns = False
        self._offered: asyncio.Task[OfferedTools] | None = None

    def session(self, cookies: Mapping[str, Any] | None = None) -> "EnvironmentSession":
        """Return a session; with the cookies of one that somebody else has seeded, that one."""
        return EnvironmentSession(self, cookies)

    async def offered_tools(self, deadline: Deadline) -> OfferedTools:
        """Return the tools of the environment; it is asked once, however many rollouts begin together.

        Raises:
            RolloutError: It did not say. The next rollout asks again.
        """
        if self._offered is None or (self._offered.done() and not _succeeded(self._offered)):
            self._offered = asyncio.ensure_future(OfferedTools.ask(self.client, self.server_name, deadline))
        return await asyncio.shield(self._offered)


class EnvironmentSession:
    """The session of one rollout; its cookies are those of the last response.

    Attributes:
        is_kept: The server keeps state for the session, so that it has to be closed.
        takes_turns: The server answers the policy's messages with the user's next.
        times: Those of the rollout's calls, which whoever makes them takes.
    """

    def __init__(self, environment: EnvironmentClient, cookies: Mapping[str, Any] | None = None) -> None:
        self._environment = environment
        self._client = environment.client
        self._server = environment.server_name
        self.cookies: dict[str, Any] = dict(cookies or {})
        self._id_header: dict[str, str] = {}
        self.is_kept = False
        self.takes_turns = False
        self.times = CallTimes()

    async def seed(self, row: RawRunRequest, deadline: Deadline) -> None:
        """Open the session. Its id is ours, so a seed whose response was lost can be sent again."""
        if self._environment.keeps_no_sessions:
            self.takes_turns = self._environment.takes_turns
            return
        self._id_header = {SESSION_ID_HEADER: new_session_id()}
        self.is_kept = True  # until we know better: whoever is cancelled meanwhile has it closed by its id
        response = await self._post(
            "/seed_session", "seed", json=row, headers=self._id_header, deadline=deadline, replay_safe=True
        )
        self.is_kept = response.headers.get(SESSION_KEPT_HEADER) == "1"
        self._environment.keeps_no_sessions = response.headers.get(SESSION_KEPT_HEADER) == "0"
        self.takes_turns = self._environment.takes_turns = response.headers.get(TAKES_TURNS_HEADER) == "1"

    async def call_tool(self, name: str, arguments: str, deadline: Deadline) -> HttpResponse:
        """POST the arguments, the text of a JSON object, to a tool; return its response, whatever the status.

        Raises:
            RolloutError: A transport failure.
        """
        response = await self._client.post(
            server_name=self._server,
            url_path=f"/{name}",
            data=(arguments or "{}").encode(),
            headers=_JSON,
            cookies=self.cookies,
            deadline=deadline,
        )
        self.cookies.update(response.cookies)
        return response

    async def next_turn(self, request: RawRunRequest, deadline: Deadline) -> UserTurn:
        """Return what the user says to a row with its `response` so far, whose last item is the policy's message.

        Raises:
            RolloutError: The server did not say.
        """
        response = await self._post(NEXT_TURN_PATH, "agent", json=request, deadline=deadline)
        try:
            return UserTurn.model_validate(orjson.loads(response.body))
        except (orjson.JSONDecodeError, ValidationError) as error:
            reason = f"{self._server} answered {NEXT_TURN_PATH} with something that isn't a turn: {str(error)[:300]}"
            raise rollout_error("turn_error", reason, stage="agent", server=self._server) from error

    async def verify(self, request: RawRunRequest, deadline: Deadline) -> HttpResponse:
        """Return the verdict on a row with its `response`. A failure carries the request, to be verified later."""
        try:
            return await self._post("/verify", "verification", json=request, deadline=deadline)
        except RolloutError as error:
            if error.failure.kind in _NEVER_VERDICTS:
                self._environment.keeps_no_sessions = False  # another server may have taken its place
                raise
            error.trajectory = orjson.loads(request.json_text)
            raise

    async def close(self) -> None:
        """Close the session if the server keeps it; never raises, never takes longer than its bound."""
        if not self.is_kept:
            return
        self.is_kept = False
        deadline = Deadline(CLOSE_TIMEOUT_S, "the bound of closing a session")
        closing = self._client.post(
            server_name=self._server,
            url_path="/close_session",
            headers=self._id_header,
            cookies=self.cookies,
            deadline=deadline,
        )
        with contextlib.suppress(RolloutError):  # an unclosed session expires
            await asyncio.shield(asyncio.ensure_future(closing))

    async def _post(self, path: str, stage: Stage, **options: Any) -> HttpResponse:
        try:
            response = await self._client.post(server_name=self._server, url_path=path, cookies=self.cookies, **options)
            if not response.ok:
                raise failure_of(response)
        except RolloutError as error:
            if error.failure.stage is None:
                error.failure = error.failure.model_copy(update={"stage": stage})
            raise
        self.cookies.update(response.cookies)
        return response


def _succeeded(asking: "asyncio.Task[OfferedTools]") -> bool:
    return not asking.cancelled() and asking.exception() is None
