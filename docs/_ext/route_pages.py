"""The page of HTTP routes, made from the OpenAPI documents of real servers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

from fastapi import FastAPI

from nemo_gym import base_resources_server, openai_utils
from nemo_gym.server_utils import BaseServerConfig, HeadServer, ServerClient
from resources_servers.example_multi_turn.app import CafeConfig, CafeServer
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig
from responses_api_models.vllm_model.app import VLLMModel, VLLMModelConfig

_HERE: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "entrypoint": "app.py"}
_REFS = {
    "resources_server": {"type": "resources_servers", "name": "env"},
    "model_server": {"type": "responses_api_models", "name": "policy_model"},
}

# What a route is for, where its handler is the author's and has no docstring.
ROUTES = {
    "/seed_session": "Open a session for a task; the answer's cookie names it.",
    "/verify": "Score a trajectory: the task row and the policy's `response` in, the same with `reward` out.",
    "/close_session": "End the session of the cookie and free what it held.",
    "/tools": "List the tools: name, description, JSON schema of the arguments.",
    "/next_turn": "Say the user's next message, or that there is none. Only environments of several turns have it.",
    "/run": "Roll out one task: seed, ask the model, run its tool calls, verify, close.",
    "/v1/responses": "Responses API. A model server answers; an agent plays one turn with its tools.",
    "/v1/chat/completions": "Chat Completions API.",
    "/global_config_dict_yaml": "The configuration without secrets: YAML text, as one JSON string.",
    "/server_instances": "What runs where: name, kind, address, process, state, digest of its code.",
}


@dataclass(frozen=True)
class ServerKind:
    """One kind of server: its heading, what is said of it, and an app that has its routes."""

    title: str
    about: str
    app: FastAPI


def server_kinds() -> Iterator[ServerKind]:
    """Yield the kinds of servers, each as a real server of it."""
    client = MagicMock(spec=ServerClient)
    head = HeadServer(BaseServerConfig(host="127.0.0.1", port=0), MagicMock())
    yield ServerKind("Head", "Knows every server of the run.", head.setup_webserver())
    environment = CafeServer(config=CafeConfig(**_HERE, name="env"), server_client=client)
    about = "Here `example_multi_turn`; its tools, such as `/set_quantity`, are routes of their own."
    yield ServerKind("Resources servers", about, environment.setup_webserver())
    agent = SimpleAgent(config=SimpleAgentConfig(**_HERE, **_REFS, name="agent"), server_client=client)
    yield ServerKind("Agent servers", "Here `simple_agent`.", agent.setup_webserver())
    config = VLLMModelConfig(**_HERE, name="policy_model", base_url="http://127.0.0.1:8000/v1", model="m")
    about = "Here `vllm_model`. All have the first two; the others are its own."
    yield ServerKind("Model servers", about, VLLMModel(config=config, server_client=client).setup_webserver())


def page() -> str:
    """Return the page as Markdown."""
    lines = ["# HTTP routes", "", _INTRODUCTION, ""]
    for kind in server_kinds():
        document = kind.app.openapi()
        lines += [f"## {kind.title}", "", kind.about, ""]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                lines += _route(method.upper(), path, operation, document)
    return "\n".join(lines) + "\n"


_INTRODUCTION = """At the end of this page you know every route, with the fields of its request and its answer. Two
minutes. It is made from the servers' OpenAPI documents, which a running server also has at `/openapi.json`, and as a
page at `/docs`.

Every server also answers `GET /health` and `GET /`. All routes but `/health` want the run's token
([authentication](../authentication.md)). An error is a status of 400 or more with an envelope that names the
[kind](failure-kinds.md), the stage and the server where it began. Fields that a schema doesn't name are kept and
passed on."""


def _route(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    about = ROUTES.get(path) or operation["description"]
    lines = [f"### {method} {path}", "", about, ""]
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answer = operation["responses"]["200"]["content"]
    answered = answer.get("application/json", {}).get("schema")
    if not answered:  # a page of text, such as that of metrics
        lines += [f"**Answer:** {', '.join(f'`{media_type}`' for media_type in answer)}", ""]
    for title, schema in (("Request", asked), ("Answer", answered)):
        if schema and schema != {"title": schema.get("title")}:
            lines += [f"**{title}:** {_type(schema)}", "", *_fields(schema, document)]
    return lines


def _fields(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    name = schema.get("items", schema).get("$ref", "").rpartition("/")[2]
    if hasattr(openai_utils, name):
        return []  # it has a description of its own, which the type links to
    described = document["components"]["schemas"][name] if name else schema
    if not (fields := described.get("properties")):
        return []
    lines = ["| field | type | required | meaning |", "| --- | --- | --- | --- |"]
    for key, field in fields.items():
        meaning = field.get("description", "").replace("\n", " ").replace("|", "\\|")
        lines.append(
            f"| `{key}` | {_type(field)} | {'yes' if key in described.get('required', ()) else ''} | {meaning} |"
        )
    return [*lines, ""]


def _type(schema: Mapping[str, Any]) -> str:
    if name := schema.get("$ref", "").rpartition("/")[2]:
        owner = next((one for one in (openai_utils, base_resources_server) if name in one.__all__), None)
        return f"{{py:class}}`~{owner.__name__}.{name}`" if owner else f"`{name}`"
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(dict.fromkeys(_type(one) for one in choices))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))
