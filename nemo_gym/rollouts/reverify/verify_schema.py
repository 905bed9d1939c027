"""What a resources server's `/verify` takes and answers, as its OpenAPI page tells."""

from dataclasses import dataclass
from typing import Any

import orjson

from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.wire.failure import RolloutError


@dataclass(frozen=True)
class VerifySchema:
    """Names of the top-level fields of a verify request and of its answer.

    Attributes:
        required: Fields that a request can't do without.
        added: Fields that only the answer has: what the verifier adds, `reward` among them.
    """

    required: frozenset[str]
    added: frozenset[str]

    @classmethod
    async def ask(cls, client: ServerClient, server: str, deadline: Deadline | None = None) -> "VerifySchema | None":
        """Ask a server; None when it has no such page, or does not answer."""
        try:
            answer = await client.get(server, "/openapi.json", deadline=deadline)
            return cls.of_page(orjson.loads(answer.body))
        except (RolloutError, orjson.JSONDecodeError, KeyError, TypeError):
            return None

    @classmethod
    def of_page(cls, page: dict[str, Any]) -> "VerifySchema":
        """Read an OpenAPI page; raises KeyError or TypeError where it doesn't describe `/verify`."""
        operation = page["paths"]["/verify"]["post"]
        sent = _schema(page, operation["requestBody"])
        answered = _schema(page, operation["responses"]["200"])
        added = frozenset(answered.get("properties", ())) - frozenset(sent["properties"])
        return cls(frozenset(sent.get("required", ())), added | {"reward"})


def _schema(page: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = described["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = page["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema
