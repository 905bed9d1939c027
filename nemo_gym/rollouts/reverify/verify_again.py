"""Verifying a saved trajectory: no model is asked.

A server that keeps state for each session gets its tool calls again, in order, in a fresh session, and takes its turns
again: that is how its state comes back. A server that keeps none is asked for the verdict alone.
"""

import asyncio
from collections.abc import Collection, Iterator
from typing import Any

import orjson

from nemo_gym.collections.records import MASK_KEYS, TIME_KEYS
from nemo_gym.global_config import get_first_server_config_dict
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.response import HttpResponse
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.servers.sessions.environment import EnvironmentClient, EnvironmentSession
from nemo_gym.wire.environment import RawRunRequest
from nemo_gym.wire.failure import Failure, RolloutError, rollout_error
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.tool_arguments import tool_arguments


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
    """Return the verify answer for a saved verify request, within the deadline for everything it takes.

    Masking fields and times in the verify request are not sent: they say what broke while the policy acted, which no
    verdict lifts, and how long it took; they come back with the answer.

    Raises:
        RolloutError: The server could not verify it. The error carries the verify request, for another try.
    """
    server = resources_server_of(client, agent_name)
    timeout = asyncio.timeout(deadline.seconds)
    try:
        async with timeout:
            kept = {key: verify_request[key] for key in (*MASK_KEYS, *TIME_KEYS) if key in verify_request}
            sent = {key: value for key, value in verify_request.items() if key not in kept}
            return await _verify_in_fresh_session(client, server, sent, deadline) | kept
    except TimeoutError as error:
        if not timeout.expired():
            raise
        reason = f"{server} gave no verdict within {deadline.seconds:g} s ({deadline.setting})"
        late = rollout_error("verifier_timeout", reason, stage="verification", server=server)
        raise RolloutError(late.failure, verify_request) from error
    except RolloutError as error:
        raise RolloutError(_at_verification(error.failure), verify_request) from error


async def _verify_in_fresh_session(
    client: ServerClient, server: str, verify_request: dict[str, Any], deadline: Deadline
) -> dict[str, Any]:
    row = {key: value for key, value in verify_request.items() if key != "response"}
    environment = EnvironmentClient(client, server)
    session = environment.session()
    try:
        await session.seed(RawRunRequest.json_of(row), deadline)
        if session.is_kept:
            await _replay(environment, session, verify_request, deadline)
        verdict = await session.verify(RawRunRequest.json_of(verify_request), deadline)
        return _verdict(verdict, server)
    finally:
        await session.close()


async def _replay(
    environment: EnvironmentClient, session: EnvironmentSession, verify_request: dict[str, Any], deadline: Deadline
) -> None:
    offered = await environment.offered_tools(deadline)
    declared = verify_request["responses_create_params"].get("tools") or offered.tools
    callable_tools = offered.callable_among(declared)
    for begin, end in _turns(verify_request["response"]["output"]):
        output = verify_request["response"]["output"][:end]
        for name, arguments in _calls_that_reached(output[begin:], callable_tools):
            await session.call_tool(name, arguments, deadline)  # a refusal by the tool is part of the trajectory
        if session.takes_turns and (taken := _turn_taken(verify_request, end)) is not None:
            response = {**verify_request["response"], "output": output}
            request = {**verify_request, "response": response, "replayed_turn": taken}
            await session.next_turn(RawRunRequest.json_of(request), deadline)


def _turns(output: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Yield where each turn of the policy begins and ends: at the user's next message, or at the end of the rollout."""
    begin = 0
    for index, item in enumerate(output):
        if item.get("role") == "user":
            yield begin, index
            begin = index + 1
    yield begin, len(output)


def _turn_taken(verify_request: dict[str, Any], end: int) -> JsonObject | None:
    """Return the turn that the environment took after a turn of the policy; None where it wasn't asked for one."""
    response = verify_request["response"]
    if end < len(response["output"]):
        return {"message": response["output"][end]}
    was_cut_off = verify_request.get("stopped_by") is not None or response.get("incomplete_details") is not None
    last = response["output"][-1] if response["output"] else {}
    return {"message": None} if last.get("role") == "assistant" and not was_cut_off else None


def _calls_that_reached(output: list[dict[str, Any]], declared: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (tool, arguments) of the calls that the agent passed on: declared, well-formed, answered."""
    answered = {item.get("call_id") for item in output if item.get("type") == "function_call_output"}
    for item in output:
        if item.get("type") != "function_call" or item.get("call_id") not in answered:
            continue
        arguments = item.get("arguments") or "{}"
        if tool_arguments(arguments) is not None and item["name"] in declared:
            yield item["name"], arguments


def _verdict(answer: HttpResponse, server: str) -> dict[str, Any]:
    try:
        verdict = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        verdict = None
    if not isinstance(verdict, dict):
        reason = f"{server} answered /verify with something that isn't a JSON object"
        raise rollout_error("verifier_error", reason, stage="verification", server=server)
    return verdict


def _at_verification(failure: Failure) -> Failure:
    return failure if failure.stage is not None else failure.model_copy(update={"stage": "verification"})
