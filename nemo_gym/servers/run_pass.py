"""Showing the run's token: what is added to a call to a server of the run, and to no other call."""

from collections.abc import Mapping
from typing import Any

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from multidict import CIMultiDict
from yarl import URL

from nemo_gym.servers.run_token import TOKEN_HEADER, bearer

_AUTHORIZATION = "authorization"


class RunPass:
    """Adds the token to calls.

    Args:
        token: None adds nothing.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._headers: Mapping[str, str] = bearer(token)

    def shown(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a call to a server of the run, with the token.

        It is the `Authorization`, which the client does not carry on to another origin; or, where the caller has one of
        its own, a header that is only sent to the origin that is called.
        """
        if self._token is None:
            return options
        headers = options.get("headers")
        if not headers and options.get("auth") is None:
            return {**options, "headers": self._headers}
        merged = CIMultiDict(headers or {})
        if _AUTHORIZATION in merged or options.get("auth") is not None:
            adding = _TokenForOneOrigin(self._token)
            return {**options, "middlewares": (*(options.get("middlewares") or ()), adding)}
        merged.extend(self._headers)
        return {**options, "headers": merged}


class _TokenForOneOrigin:
    """A middleware of the HTTP client, which meets every request, those after a redirect too."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._origin: URL | None = None

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        origin = request.url.origin()
        self._origin = self._origin or origin
        if origin == self._origin:
            request.headers[TOKEN_HEADER] = self._token
        return await handler(request)
