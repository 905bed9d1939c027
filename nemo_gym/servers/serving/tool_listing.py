"""The tools of an environment, as its routes describe them."""

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from nemo_gym.servers.sessions.tools import RESERVED_PATHS
from nemo_gym.wire.json_object import JsonObject


def list_tools(app: FastAPI) -> list[JsonObject]:
    """Return every POST route that is a tool, as a function tool of the Responses API.

    Name: the path without its slash. Description: the handler's docstring. Parameters: the body's JSON schema. A route
    made with `include_in_schema=False` isn't a tool.
    """
    return [
        _tool(route)
        for route in app.routes
        if isinstance(route, APIRoute)
        and "POST" in (route.methods or ())
        and route.path not in RESERVED_PATHS
        and "{" not in route.path
        and route.include_in_schema
    ]


def has_unlisted_tools(app: FastAPI) -> bool:
    """Tell whether a POST route of the app takes names that nobody can list."""
    posts = (route for route in app.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ()))
    return any("{" in route.path for route in posts)


def has_route(app: FastAPI, path: str) -> bool:
    """Tell whether the app has a POST route with this path."""
    posts = (route for route in app.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ()))
    return any(route.path == path for route in posts)


def _tool(route: APIRoute) -> JsonObject:
    body = route.body_field.field_info.annotation if route.body_field is not None else None
    schema: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
    if isinstance(body, type) and issubclass(body, BaseModel):
        schema = body.model_json_schema()
    return {
        "type": "function",
        "name": route.path.removeprefix("/"),
        "description": route.description or schema.get("description", ""),
        "parameters": {key: value for key, value in schema.items() if key not in ("title", "description")},
        "strict": getattr(body, "has_strict_schema", False),
    }
