"""Calls of llama.cpp's server over its loopback socket. Cancelling a call ends the generation behind it."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.local_model.llama.generation import ContextOverflowError, EngineError, RefusedRequestError

_LONGEST_CALL_S = 3600.0
"""For an engine that hangs; callers have shorter deadlines."""


class NativeClient:
    """Posts JSON to one native server. To be made and closed inside the event loop."""

    def __init__(self, url: str, key: str) -> None:
        # A connection that is kept open would keep one of the native server's few threads.
        self._session = aiohttp.ClientSession(
            url,
            headers={"Authorization": f"Bearer {key}"},
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=_LONGEST_CALL_S),
        )

    async def post(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Return the decoded answer.

        The native server notices within a second that a cancelled call's connection is closed.

        Raises:
            ContextOverflowError: The prompt is longer than the context of a slot.
            RefusedRequestError: The body is not acceptable.
            EngineError: Anything else went wrong.
        """
        try:
            async with self._session.post(path, json=body) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise EngineError(f"llama.cpp does not answer {path}: {error!r}") from error
        if not isinstance(answer, dict):
            raise EngineError(f"llama.cpp answers {path} with a {type(answer).__name__}, not an object")
        if response.status != 200 or "error" in answer:
            raise _error(answer.get("error"))
        return answer

    async def close(self) -> None:
        """End every call."""
        await self._session.close()


def _error(error: Any) -> Exception:
    known = error if isinstance(error, dict) else {}
    message = str(known.get("message", error))
    if known.get("type") == "exceed_context_size_error":
        return ContextOverflowError(message)
    return RefusedRequestError(message) if known.get("code") == 400 else EngineError(message)
