"""The test kit without `await`: the same environment on an event loop of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nemo_gym.testing.policy import Policy
from nemo_gym.testing.session import Scored, Session
from nemo_gym.wire.json_object import JsonObject


class BlockingSession:
    """A session; see `Session` for the arguments."""

    def __init__(self, runner: asyncio.Runner, session: Session) -> None:
        self._run = runner.run
        self._session = session

    def call(self, name: str, written: str | None = None, /, **arguments: Any) -> str:
        """Call a tool, and return what the policy reads."""
        return self._run(self._session.call(name, written, **arguments))

    def verdict(self, *ending: Any) -> Scored:
        """Return the verdict on what was called, followed by `ending`."""
        return self._run(self._session.verdict(*ending))

    def verify(self, *ending: Any) -> float:
        """Return the reward."""
        return self._run(self._session.verify(*ending))


class Blocking:
    """An environment; see `InProcess` for the arguments."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = asyncio.Runner()

    def start(self) -> "Blocking":
        """Start it; called by `with`."""
        try:
            self._runner.run(self._environment.__aenter__())
        except BaseException:
            self._runner.close()
            raise
        return self

    def stop(self) -> None:
        """Stop it; called at the end of `with`."""
        with self._runner:
            self._runner.run(self._environment.__aexit__(None, None, None))

    def tools(self) -> list[JsonObject]:
        """Return the tools as the policy reads them."""
        tools: list[JsonObject] = self._runner.run(self._environment.tools())
        return tools

    @contextmanager
    def session(self, row: Any = "Hello.", /, **fields: Any) -> Iterator[BlockingSession]:
        """Open a session for a task."""
        opening = self._environment.session(row, **fields)
        session = self._runner.run(opening.__aenter__())
        try:
            yield BlockingSession(self._runner, session)
        finally:
            self._runner.run(opening.__aexit__(None, None, None))

    def verdict(self, response: Any, row: Any = "Hello.", /, **fields: Any) -> Scored:
        """Return the verdict on a Response."""
        scored: Scored = self._runner.run(self._environment.verdict(response, row, **fields))
        return scored

    def verify(self, response: Any, row: Any = "Hello.", /, **fields: Any) -> float:
        """Return the reward of a Response."""
        return self.verdict(response, row, **fields).reward

    def rollout(self, policy: Policy, row: Any = "Hello.", /, **fields: Any) -> Scored:
        """Roll a task out with the simple agent."""
        scored: Scored = self._runner.run(self._environment.rollout(policy, row, **fields))
        return scored
