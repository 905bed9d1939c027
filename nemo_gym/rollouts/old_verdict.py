"""Taking the verdict off a rollout, so that it can be verified again as if it never had been."""

from collections.abc import Collection
from typing import Any

import orjson

from nemo_gym.rollouts.outcome import MASK_KEYS, ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.servers.client import ServerClient
from nemo_gym.wire.failure import RolloutError

_ALWAYS = {"reward", TASK_INDEX_KEY, ROLLOUT_INDEX_KEY, *MASK_KEYS}
_VERDICT_DOMAINS = ("verifier_", "judge_")


async def verdict_fields(client: ServerClient, server: str) -> frozenset[str]:
    """Return the names of the fields that a server's verifier adds, as its OpenAPI page tells.

    They have to go: a verifier that is sent the field it is about to add may refuse it, or take it for part of the
    task. Of a server without such a page only `reward` is known.
    """
    try:
        answer = await client.get(server, "/openapi.json")
        page = orjson.loads(answer.body)
        operation = page["paths"]["/verify"]["post"]
        sent = _properties(page, operation["requestBody"])
        answered = _properties(page, operation["responses"]["200"])
    except (RolloutError, orjson.JSONDecodeError, KeyError, TypeError):
        return frozenset({"reward"})
    return frozenset(answered - sent) | {"reward"}


def verify_request_of(rollout: dict[str, Any], verdict: Collection[str]) -> dict[str, Any]:
    """Return the verify request that a rollout row was the answer to; `verdict` names what the verifier adds.

    A mask that lasts stays in it, for `verify_again` to put onto the new verdict.
    """
    request = {key: value for key, value in rollout.items() if key not in _ALWAYS and key not in verdict}
    return request | lasting_mask(rollout)


def lasting_mask(rollout: dict[str, Any]) -> dict[str, Any]:
    """Return the masking fields that a new verdict does not lift: those for what broke while the policy acted."""
    if not rollout.get("mask_sample") or str(rollout.get("failure_kind")).startswith(_VERDICT_DOMAINS):
        return {}
    return {key: rollout[key] for key in MASK_KEYS if key in rollout}


def _properties(page: dict[str, Any], described: dict[str, Any]) -> set[str]:
    schema = described["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = page["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return set(schema["properties"])
