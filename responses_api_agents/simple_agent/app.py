"""Simple agent: model → tool calls → model … → message, then the verdict.

The tool calls of one step are answered in order. The loop ends with a step that calls no tool, at `max_steps`, or where
the context is full.
"""

from collections.abc import Collection
from typing import Literal

import orjson
from fastapi import Body, Request, Response
from pydantic import Field, PrivateAttr

from nemo_gym.base_responses_api_agent import (
    BaseResponsesAPIAgentConfig,
    RawRunRequest,
    SimpleResponsesAPIAgent,
)
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
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
from responses_api_agents.simple_agent.trajectory import Trajectory

# Longer than the server's own bound, which names the setting: this one only ends the wait for a server that is stuck.
GRACE_S = 10.0


class SimpleAgentConfig(BaseResponsesAPIAgentConfig):
    resources_server: ResourcesServerRef
    model_server: ModelServerRef
    max_steps: int | None = Field(default=None, ge=1, description="Model calls per rollout; None: no limit.")
    tools_from_resources_server: bool = Field(
        default=False, description="A row that declares no tools gets the environment's own."
    )
    seed_timeout_s: float = Field(default=300.0, gt=0, description="Longest wait for a session, in seconds.")
    tool_timeout_s: float = Field(default=300.0, gt=0, description="Longest wait for a tool's answer, in seconds.")
    verify_timeout_s: float = Field(default=600.0, gt=0, description="Longest wait for the verdict, in seconds.")
    max_tool_result_chars: int = Field(default=200_000, ge=1, description="Longer tool results are cut.")
    on_context_overflow: Literal["stop", "fail"] = Field(
        default="stop", description="stop: verify what there is. fail: the rollout is a failure."
    )
    on_content_filter: Literal["mask", "score", "fail"] = Field(
        default="mask",
        description="The endpoint's content filter cut an answer off: the rollout is verified and masked (mask), "
        "scored all the same (score), or a failure (fail).",
    )
    on_tool_failure: Literal["mask", "tell", "fail"] = Field(
        default="mask",
        description="A tool that raises or hangs: the policy reads so in general words, and the rollout is masked "
        "(mask), or scored all the same (tell); or the rollout is a failure (fail).",
    )


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
            await session.seed(row, self._deadline("seed_timeout_s", "transport_timeout"))
            trajectory = await self._loop(session, RawParams(row.json_part("responses_create_params")))
            deadline = self._deadline("verify_timeout_s", "verifier_timeout", GRACE_S)
            verdict = await self._verdict(session, row, trajectory, deadline)
        finally:
            await session.close()
        if trajectory.mask is None:
            return Response(verdict.body, media_type="application/json")
        return Response(_masked(verdict.body, trajectory.mask), media_type="application/json")

    async def _verdict(
        self, session: EnvironmentSession, row: RawRunRequest, trajectory: Trajectory, deadline: Deadline
    ) -> HttpResponse:
        try:
            return await session.verify(row.json_with(response=trajectory.response()), deadline)
        except RolloutError as error:
            if error.trajectory is not None and trajectory.mask is not None:
                error.trajectory |= _mask(trajectory.mask)  # for whoever verifies it later
            raise

    async def _loop(self, session: EnvironmentSession, params: RawParams) -> Trajectory:
        start = params.json_input_items()
        tools = params.json_value("tools")
        if not tools and self.config.tools_from_resources_server:
            tools = (await self._offered_tools()).tools
            params = params.json_with(tools=tools)
        callable_tools = (await self._offered_tools()).callable_among(tools) if tools else set()
        trajectory = Trajectory()
        steps = 0
        while self.config.max_steps is None or steps < self.config.max_steps:
            try:
                answer, items = await self._ask_model(params.json_with(input=[*start, *trajectory.items]))
            except RolloutError as error:
                if self._stops_here(error, trajectory):
                    break
                raise
            trajectory.add_step(answer, items)
            steps += 1
            calls = [item.json_head for item in items if item.json_head.type == "function_call"]
            if self._is_filtered(answer, trajectory) or not calls:
                break
            for call in calls:
                await self._answer_call(session, call, callable_tools, trajectory)
        return trajectory

    def _stops_here(self, error: RolloutError, trajectory: Trajectory) -> bool:
        overflow = error.failure.kind == "context_length_exceeded"
        return overflow and self.config.on_context_overflow == "stop" and trajectory.last is not None

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
