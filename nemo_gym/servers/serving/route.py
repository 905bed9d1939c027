"""The route class of all our servers: FastAPI's, with the call itself done by `Endpoint`."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Request, Response
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute

from nemo_gym.servers.serving.endpoint import Endpoint
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy
from nemo_gym.servers.serving.handler import Handler

_SHAPING_OPTIONS = (
    "dependencies",
    "status_code",
    "response_model_include",
    "response_model_exclude",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
)


def route_class_for(policy_of: Callable[[str], EndpointPolicy]) -> type[APIRoute]:
    """Return the route class for one server; `policy_of` gives the policy for a path such as `/verify`."""

    class ServerRoute(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
            super().__init__(path, endpoint, **options)
            handler = None if _asks_fastapi(options) else Handler.of(endpoint)
            self.app = Endpoint(handler, policy_of(path), _with_exit_stacks(self._fallback(options)))

        def _fallback(self, options: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
            documented = self.response_field
            if not _is_given(options.get("response_model")):
                # The handler's return annotation is for the documentation: what it returns is sent whole.
                self.response_field = None
            handle = self.get_route_handler()
            self.response_field = documented
            return handle

    return ServerRoute


def _asks_fastapi(options: dict[str, Any]) -> bool:
    shaped = any(options.get(name) for name in _SHAPING_OPTIONS)
    return shaped or _is_given(options.get("response_model")) or _is_given(options.get("response_class"))


def _is_given(option: Any) -> bool:
    return option is not None and not isinstance(option, DefaultPlaceholder)


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
