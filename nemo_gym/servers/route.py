"""The route class of all our servers: FastAPI's, with the call itself done by `Endpoint`."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from nemo_gym.servers.endpoint import Endpoint, EndpointPolicy


def route_class_for(policy_of: Callable[[str], EndpointPolicy]) -> type[APIRoute]:
    """Return the route class for one server; `policy_of` gives the policy for a path such as `/verify`."""

    class ServerRoute(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
            super().__init__(path, endpoint, **options)
            self.app = Endpoint(endpoint, policy_of(path), _with_exit_stacks(self.get_route_handler()))

    return ServerRoute


def _with_exit_stacks(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """FastAPI's handling closes what dependencies opened through two stacks that it expects in the scope."""

    async def handle_request(request: Request) -> Response:
        async with AsyncExitStack() as request_stack, AsyncExitStack() as function_stack:
            request.scope["fastapi_inner_astack"] = request_stack
            request.scope["fastapi_function_astack"] = function_stack
            return await handle(request)

    return handle_request
