"""The sessions of one resources server: seeded once, used, closed, or expired.

The rules, so that a lost session is never mistaken for a fresh one:
- seeding again with the same payload answers as the first time; with another payload it is refused;
- a call without a seeded session is `session_lost`; after the idle limit it is `session_expired`; closed is closed;
- a session is not expired while a call is inside, and what is expired or closed is cleaned up exactly once.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.wire.failure import RolloutError, rollout_error

_REMEMBERED_ENDINGS = 100_000
_CALLS_END_WITHIN_S = 2.0
_CANCELLED_CALLS_END_WITHIN_S = 1.0
_CLEAN_UP_LIMIT_S = 30.0
_CLEAN_UP_AT_STOP_LIMIT_S = 2.0

_log = logging.getLogger("nemo_gym.server")


@dataclass
class Session:
    """One open session. `state` is whatever the server keeps for it."""

    session_id: str
    payload_digest: bytes
    state: Any
    seeding: asyncio.Task[Any] | None = None
    calls: set[asyncio.Task[Any]] = field(default_factory=set)
    used_at: float = field(default_factory=time.monotonic)


class SessionRegistry:
    """Keeps the open sessions of one server.

    Args:
        new_state: Makes the state of a new session.
        clean_up: Called once when a session ends, whatever ended it.
        idle_limit_s: A session nobody used for so long is expired.
    """

    def __init__(
        self,
        new_state: Callable[[], Any],
        clean_up: Callable[[str, Any], Awaitable[None]],
        idle_limit_s: float,
    ) -> None:
        self._new_state = new_state
        self._clean_up = clean_up
        self._idle_limit_s = idle_limit_s
        self._open: dict[str, Session] = {}
        self._endings: OrderedDict[str, str] = OrderedDict()
        self._cleaning: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def knows(self, session_id: str) -> bool:
        """Tell whether the session is open, or was."""
        return session_id in self._open or session_id in self._endings

    async def seed(self, session_id: str, payload: bytes, seed: Callable[[], Awaitable[Any]]) -> Any:
        """Open the session and return the answer of `seed`; answer a replay as the first time."""
        digest = hashlib.blake2b(payload, digest_size=16).digest()
        session = self._open.get(session_id)
        if session is None:
            if session_id in self._endings:
                raise self._lost(session_id)
            session = self._open[session_id] = Session(session_id, digest, self._new_state())
            session.seeding = asyncio.ensure_future(seed())
        elif session.payload_digest != digest:
            raise rollout_error("session_lost", f"session {session_id[:8]}… was seeded with another payload")
        async with self.inside(session_id):
            return await self._seeded(session)

    async def _seeded(self, session: Session) -> Any:
        assert session.seeding is not None
        try:
            # Shielded: a replay of the seed may be waiting for it too. What nobody waits for is closed, or expires.
            return await asyncio.shield(session.seeding)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._lost(session.session_id) from None  # not the caller was cancelled, but the seeding: closed
        except Exception:
            await self.close(session.session_id)
            raise

    @asynccontextmanager
    async def inside(self, session_id: str) -> AsyncIterator[Session]:
        """Keep the session alive while a call works with it."""
        session = self._open.get(session_id)
        if session is None:
            raise self._lost(session_id)
        call = asyncio.current_task()
        assert call is not None
        session.calls.add(call)
        try:
            yield session
        finally:
            session.calls.discard(call)
            session.used_at = time.monotonic()

    def state(self, session_id: str) -> Any:
        """Return the state of an open session; raises the `session_lost` or `session_expired` failure."""
        session = self._open.get(session_id)
        if session is None:
            raise self._lost(session_id)
        return session.state

    async def close(self, session_id: str, *, ending: str = "closed") -> bool:
        """End the session and clean up; False when it was not open. A seed that comes later is refused.

        Calls that still run have 2 s to end, then they are cancelled: only after them is the session cleaned up.
        """
        session = self._open.pop(session_id, None)
        self._endings.setdefault(session_id, ending)
        while len(self._endings) > _REMEMBERED_ENDINGS:
            self._endings.popitem(last=False)
        if session is None:
            return False
        if session.seeding is not None:
            session.seeding.cancel()
        session.calls.discard(asyncio.current_task())  # a seed that failed closes its own session
        cleaning = asyncio.ensure_future(self._clean(session))
        self._cleaning.add(cleaning)
        cleaning.add_done_callback(self._cleaning.discard)
        await asyncio.shield(cleaning)  # it goes on when the caller leaves
        return True

    async def _clean(self, session: Session) -> None:
        await _ended(session.calls)
        try:
            async with asyncio.timeout(_CLEAN_UP_LIMIT_S):
                await self._clean_up(session.session_id, session.state)
        except Exception:  # one session's trouble must not keep the others from being cleaned up
            _log.exception("cleaning up session %s… failed", session.session_id[:8])

    async def expire_idle(self) -> int:
        """End every session past the idle limit that no call is inside of; return how many."""
        limit = time.monotonic() - self._idle_limit_s
        idle = [s.session_id for s in self._open.values() if not s.calls and s.used_at < limit]
        await asyncio.gather(*(self.close(session_id, ending="expired") for session_id in idle))
        return len(idle)

    async def close_all(self) -> None:
        """End every session: the server stops, and waits 2 s at most for what is being cleaned up."""
        closing = [asyncio.ensure_future(self.close(session_id)) for session_id in list(self._open)]
        unfinished = {*closing, *self._cleaning}
        if unfinished:
            await asyncio.wait(unfinished, timeout=_CLEAN_UP_AT_STOP_LIMIT_S)

    def _lost(self, session_id: str) -> RolloutError:
        match self._endings.get(session_id):
            case "expired":
                reason = f"nobody used it for {self._idle_limit_s:g} s (setting session_idle_limit_s)"
                return rollout_error("session_expired", f"session {session_id[:8]}… expired: {reason}")
            case "closed":
                return rollout_error("session_lost", f"session {session_id[:8]}… is closed")
            case _:
                reason = "not seeded here, or the server restarted since"
                return rollout_error("session_lost", f"unknown session {session_id[:8]}…: {reason}")


async def _ended(calls: set[asyncio.Task[Any]]) -> None:
    """Wait for calls to end, and cancel those that do not; a blocking one in a thread can't be stopped."""
    for within_s in (_CALLS_END_WITHIN_S, _CANCELLED_CALLS_END_WITHIN_S):
        running = {call for call in calls if not call.done()}
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=within_s)
        for call in late:
            call.cancel("its session is closed")
