"""Verifying a saved trajectory: no model is asked.

A server that keeps state for each session gets its tool calls again, in order, in a fresh session: that is how its
state comes back. A server that keeps none is asked for the verdict alone.
"""

from typing import Any

import orjson

from nemo_gym.global_config import get_first_server_config_dict
from nemo_gym.servers.answer import Answer, failure_of
from nemo_gym.servers.client import ServerClient
from nemo_gym.servers.session_cookie import SESSION_ID_HEADER, SESSION_KEPT_HEADER, new_session_id
from nemo_gym.servers.tool_listing import RESERVED_PATHS
from nemo_gym.servers.transport import Deadline
from nemo_gym.wire.failure import RolloutError, rollout_error

CLOSE_TIMEOUT_S = 5.0


def resources_server_of(client: ServerClient, agent_name: str) -> str:
    """Return the instance that verifies an agent's rollouts; raises the `input_invalid` failure when it names none."""
    block = get_first_server_config_dict(client.global_config_dict, agent_name)
    reference = block.get("resources_server")
    if reference is None:
        raise rollout_error("input_invalid", f"the agent {agent_name} names no resources_server to verify with")
    return str(reference["name"])


async def verify_again(
    client: ServerClient, agent_name: str, verify_request: dict[str, Any], deadline: Deadline
) -> dict[str, Any]:
    """Return the verify answer for a saved verify request.

    Raises:
        RolloutError: The server could not verify it.
    """
    server = resources_server_of(client, agent_name)
    row = {key: value for key, value in verify_request.items() if key != "response"}
    headers = {SESSION_ID_HEADER: new_session_id()}
    seeded = await client.post(server, "/seed_session", json=row, headers=headers, deadline=deadline, replay_safe=True)
    cookies = dict(_checked(seeded).cookies)
    try:
        if SESSION_KEPT_HEADER in seeded.headers:
            await _replay_tool_calls(client, server, verify_request["response"], cookies, deadline)
        verdict = await client.post(server, "/verify", json=verify_request, cookies=cookies, deadline=deadline)
        decoded: dict[str, Any] = orjson.loads(_checked(verdict).body)
        return decoded
    except RolloutError as error:
        raise RolloutError(error.failure, trajectory=verify_request) from error
    finally:
        if SESSION_KEPT_HEADER in seeded.headers:
            await _close(client, server, cookies)


async def _replay_tool_calls(
    client: ServerClient, server: str, response: dict[str, Any], cookies: dict[str, Any], deadline: Deadline
) -> None:
    answered = {item.get("call_id") for item in response["output"] if item.get("type") == "function_call_output"}
    for item in response["output"]:
        if item.get("type") != "function_call" or item.get("call_id") not in answered:
            continue
        arguments = _object(item.get("arguments", ""))
        path = f"/{item['name']}"
        if arguments is None or path in RESERVED_PATHS or not item["name"].replace("_", "").isalnum():
            continue  # the agent refused this call, so it never reached the server
        answer = await client.post(server, path, json=arguments, cookies=cookies, deadline=deadline)
        cookies.update(answer.cookies)  # a refusal by the tool is part of the trajectory


async def _close(client: ServerClient, server: str, cookies: dict[str, Any]) -> None:
    try:
        bound = Deadline(CLOSE_TIMEOUT_S, "the bound of closing a session")
        await client.post(server, "/close_session", cookies=cookies, deadline=bound)
    except RolloutError:
        pass  # an unclosed session expires


def _checked(answer: Answer) -> Answer:
    if not answer.ok:
        raise failure_of(answer)
    return answer


def _object(text: str) -> dict[str, Any] | None:
    try:
        decoded = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return None
    return decoded if isinstance(decoded, dict) else None
