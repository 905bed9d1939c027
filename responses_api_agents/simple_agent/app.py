"""Simple agent: model → tool calls → model … → message, then the verdict.

The tool calls of one step are answered in order. A step that calls no tool ends the turn. An environment that takes
turns is then asked for the user's next message; when it has none, and in every other environment, the rollout is over.
It also ends at a limit (`max_steps`, `max_turns`, `max_total_tokens`) and where the context is full: `stopped_by`.
"""

from collections.abc import Collection, Sequence

import orjson
from fastapi import Body, Request, Response
from pydantic import PrivateAttr

from nemo_gym.base_responses_api_agent import RawRunRequest, SimpleResponsesAPIAgent
from nemo_gym.openai_utils import RawItem, RawItemHead, RawOutputItem, RawParams, RawResponse
from nemo_gym.server_utils import (
    Deadline,
    EnvironmentClient,
    EnvironmentSession,
    Failure,
    FailureKind,
    HttpResponse,
    OfferedTools,
    RolloutError,
    raise_for_status,
    rollout_error,
    run_tool_call,
    unfinished_response,
)
from nemo_gym.wire.json_object import JsonObject
from responses_api_agents.simple_agent.settings import SimpleAgentConfig
from responses_api_agents.simple_agent.trajectory import Limit, Trajectory

# Longer than the server's own bound, which names the setting: this one only ends the wait for a server that is stuck.
GRACE_S = 10.0


class SimpleAgent(SimpleResponsesAPIAgent):
    config: SimpleAgentConfig
    _environment: EnvironmentClient | None = PrivateAttr(default=None)

    @property
    def environment(self) -> EnvironmentClient:
        """The resources server, as all rollouts of this agent share it."""
        if self._environment is None:
            self._environment = EnvironmentClient(self.server_client, self.config.resources_server.name)
        return self._environment

    async def responses(self, request: Request, response: Response, body: RawParams = Body()) -> RawResponse:
        session = self.environment.session(request.cookies)
        trajectory = await self._loop(session, RawParams.json_of(body))
        # The caller seeded the session and will verify in it: it passes on the cookies of the last answer, this one.
        for name, value in session.cookies.items():
            response.set_cookie(name, getattr(value, "value", value))
        return trajectory.response()

    async def run(self, body: RawRunRequest = Body()) -> Response:
        row = RawRunRequest.json_of(body)
        session = self.environment.session()
        try:
            with session.times.timed("seed"):
                await session.seed(row, self._deadline("seed_timeout_s", "transport_timeout"))
            trajectory = await self._loop(session, RawParams(row.json_part("responses_create_params")), row)
            deadline = self._deadline("verify_timeout_s", "verifier_timeout", GRACE_S)
            with session.times.timed("verify"):
                verdict = await self._verdict(session, row, trajectory, deadline)
        finally:
            await session.close()
        answer = verdict.body if trajectory.mask is None else _masked(verdict.body, trajectory.mask)
        return Response(session.times.added_to(answer), media_type="application/json")

    async def _verdict(
        self, session: EnvironmentSession, row: RawRunRequest, trajectory: Trajectory, deadline: Deadline
    ) -> HttpResponse:
        try:
            return await session.verify(row.json_with(**trajectory.verdict_fields()), deadline)
        except RolloutError as error:
            if error.trajectory is not None and trajectory.mask is not None:
                error.trajectory |= _mask(trajectory.mask)  # for whoever verifies it later
            raise

    async def _loop(
        self, session: EnvironmentSession, params: RawParams, row: RawRunRequest | None = None
    ) -> Trajectory:
        """Return the trajectory of a task; without its row the user has said everything: there is one turn."""
        start = params.json_input_items()
        tools = params.json_value("tools")
        if not tools and self.config.tools_from_resources_server:
            tools = (await self._offered_tools()).tools
            params = params.json_with(tools=tools)
        callable_tools = (await self._offered_tools()).callable_among(tools) if tools else set()
        trajectory = Trajectory()
        while not self._has_reached_a_limit(trajectory):
            try:
                with session.times.timed("model"):
                    answer, items = await self._ask_model(params.json_with(input=[*start, *trajectory.items]))
            except RolloutError as error:
                if self._stops_here(error, trajectory):
                    break
                raise
            trajectory.add_step(answer, items)
            calls = [item.json_head for item in items if item.json_head.type == "function_call"]
            if self._is_filtered(answer, trajectory):
                break
            for call in calls:
                await self._answer_call(session, call, callable_tools, trajectory)
            if not calls and not await self._goes_on(session, row, items, trajectory):
                break
        return trajectory

    def _has_reached_a_limit(self, trajectory: Trajectory, *, ends_turn: bool = False) -> bool:
        reached: dict[Limit, int] = {"max_steps": trajectory.steps, "max_total_tokens": trajectory.total_tokens}
        if ends_turn:
            reached["max_turns"] = trajectory.turns
        limits = {name: getattr(self.config, name) for name in reached}
        stops = (name for name, count in reached.items() if limits[name] is not None and count >= limits[name])
        trajectory.stopped_by = next(stops, None)
        return trajectory.stopped_by is not None

    async def _goes_on(
        self,
        session: EnvironmentSession,
        row: RawRunRequest | None,
        items: Sequence[RawOutputItem],
        trajectory: Trajectory,
    ) -> bool:
        """Ask for the user's next message after a step without calls; False: the rollout is over.

        Only a message that the policy has finished is answered, and at a limit none is: whether the episode would have
        been over there isn't asked.
        """
        has_message = any(item.json_head.type == "message" for item in items)
        if row is None or not session.takes_turns or not has_message or trajectory.is_cut_off:
            return False
        if self._has_reached_a_limit(trajectory, ends_turn=True):
            return False
        deadline = self._deadline("turn_timeout_s", "turn_timeout", GRACE_S)
        with session.times.timed("turn"):
            turn = await session.next_turn(row.json_with(response=trajectory.response()), deadline)
        return trajectory.add_turn(turn)

    def _stops_here(self, error: RolloutError, trajectory: Trajectory) -> bool:
        overflow = error.failure.kind == "context_length_exceeded"
        stops = overflow and self.config.on_context_overflow == "stop" and trajectory.last is not None
        trajectory.stopped_by = "context_length" if stops else None
        return stops

    def _is_filtered(self, answer: RawResponse, trajectory: Trajectory) -> bool:
        """Tell whether the endpoint's content filter cut the answer off; a setting decides about the rollout."""
        if (answer.json_head.incomplete_details or {}).get("reason") != "content_filter":
            return False
        name = self.config.model_server.name
        filtered = rollout_error(
            "model_content_filter", f"the content filter cut the answer of {name} off", server=name
        )
        self._decide(self.config.on_content_filter, filtered.failure, trajectory)
        return True

    @staticmethod
    def _decide(setting: str, failure: Failure, trajectory: Trajectory) -> None:
        if setting == "fail":
            raise RolloutError(failure)
        if setting == "mask":
            trajectory.mask = trajectory.mask or failure

    async def _answer_call(
        self,
        session: EnvironmentSession,
        call: RawItemHead,
        callable_tools: Collection[str],
        trajectory: Trajectory,
    ) -> None:
        with session.times.timed("tool", call.call_id):
            result = await run_tool_call(
                session,
                call.name or "",
                call.arguments or "",
                callable_tools=callable_tools,
                deadline=self._deadline("tool_timeout_s", "tool_timeout", GRACE_S),
                max_chars=self.config.max_tool_result_chars,
            )
        if result.failure is not None:
            self._decide(self.config.on_tool_failure, result.failure, trajectory)
        trajectory.items.append(RawItem.function_call_output(call.call_id or "", result.text))

    async def _ask_model(self, params: RawParams) -> tuple[RawResponse, list[RawOutputItem]]:
        # No deadline here: a generation may take long, keep-alive finds a dead peer, and the rollout has its own.
        # Generating again changes nothing, so a connection that is lost at step 49 does not cost the rollout.
        name = self.config.model_server.name
        answer = await self.server_client.post(
            server_name=name, url_path="/v1/responses", json=params, replay_safe=True
        )
        await raise_for_status(answer)
        response = RawResponse.json_unchecked(await answer.read())
        try:
            head, items = response.json_head, response.json_items()
        except (ValueError, RecursionError) as error:
            reason = f"{name} answered with something that isn't a Response: {str(error)[:300]}"
            raise rollout_error("model_bad_output", reason, server=name, status=answer.status) from error
        unfinished = unfinished_response(head.status, head.error)
        if unfinished is not None:
            raise rollout_error(unfinished[0], f"{name}: {unfinished[1]}", server=name, status=answer.status)
        return response, items

    async def _offered_tools(self) -> OfferedTools:
        return await self.environment.offered_tools(self._deadline("seed_timeout_s", "transport_timeout"))

    def _deadline(self, setting: str, kind: FailureKind, grace_s: float = 0.0) -> Deadline:
        return Deadline(getattr(self.config, setting) + grace_s, f"setting {self.config.name}.{setting}", kind)


def _masked(verdict: bytes, failure: Failure) -> bytes:
    return orjson.dumps({**orjson.loads(verdict), **_mask(failure)})


def _mask(failure: Failure) -> JsonObject:
    return {"mask_sample": True, "failure_kind": failure.kind, "failure_reason": failure.reason}


if __name__ == "__main__":
    SimpleAgent.run_webserver()
