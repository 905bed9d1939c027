"""Simple agent: model → tool calls → model … → message, then the verdict.

The tool calls of one step are answered in order. The loop ends with a step that calls no tool, at `max_steps`, or where
the context is full.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

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
    Failure,
    HttpResponse,
    OfferedTools,
    RolloutError,
    raise_for_status,
    rollout_error,
)
from responses_api_agents.simple_agent.environment import EnvironmentSession
from responses_api_agents.simple_agent.tool_calls import run_tool_call
from responses_api_agents.simple_agent.usage import add_usage

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
    on_tool_failure: Literal["mask", "tell", "fail"] = Field(
        default="mask",
        description="A tool that raises or hangs: the policy reads so in general words, and the rollout is masked "
        "(mask), or scored all the same (tell); or the rollout is a failure (fail).",
    )


@dataclass
class Trajectory:
    """The new items of one rollout so far, as text, and what happened on the way."""

    items: list[RawItem] = field(default_factory=list)
    last: RawResponse | None = None
    usage: dict[str, Any] | None = None
    tool_failure: Failure | None = None

    def add_step(self, response: RawResponse, items: Sequence[RawOutputItem]) -> None:
        """Take in the answer of one model call, and the items in it."""
        self.items.extend(items)
        self.usage = add_usage(self.usage, response.json_value("usage"))
        self.last = response

    def response(self) -> RawResponse:
        """Return the last Response with every new item as its output, and the usage of all steps."""
        if self.last is None:
            raise ValueError("no model call has been answered")
        update: dict[str, Any] = {"output": self.items}
        if self.usage is not None:
            update["usage"] = self.usage
        return self.last.json_with(**update)


class SimpleAgent(SimpleResponsesAPIAgent):
    config: SimpleAgentConfig
    _offered: OfferedTools | None = PrivateAttr(default=None)
    _sessionless: set[str] = PrivateAttr(default_factory=set)

    async def responses(self, request: Request, response: Response, body: RawParams = Body()) -> RawResponse:
        session = EnvironmentSession(self.server_client, self.config.resources_server.name, request.cookies)
        trajectory = await self._loop(session, RawParams.json_of(body))
        # The caller seeded the session and will verify in it: it passes on the cookies of the last answer, this one.
        for name, value in session.cookies.items():
            response.set_cookie(name, getattr(value, "value", value))
        return trajectory.response()

    async def run(self, body: RawRunRequest = Body()) -> Response:
        config = self.config
        row = RawRunRequest.json_of(body)
        session = EnvironmentSession(self.server_client, config.resources_server.name, sessionless=self._sessionless)
        try:
            await session.seed(row, self._deadline("seed_timeout_s", "transport_timeout"))
            trajectory = await self._loop(session, RawParams(row.json_part("responses_create_params")))
            deadline = self._deadline("verify_timeout_s", "verifier_timeout", GRACE_S)
            verdict = await self._verdict(session, row, trajectory, deadline)
        finally:
            await session.close()
        if trajectory.tool_failure is None or not self._masks():
            return Response(verdict.body, media_type="application/json")
        return Response(_masked(verdict.body, trajectory.tool_failure), media_type="application/json")

    async def _verdict(
        self, session: EnvironmentSession, row: RawRunRequest, trajectory: Trajectory, deadline: Deadline
    ) -> HttpResponse:
        try:
            return await session.verify(row, trajectory.response(), deadline)
        except RolloutError as error:
            if error.trajectory is not None and trajectory.tool_failure is not None and self._masks():
                error.trajectory |= _mask(trajectory.tool_failure)  # for whoever verifies it later
            raise

    def _masks(self) -> bool:
        return self.config.on_tool_failure == "mask"

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
            if not calls:
                break
            for call in calls:
                await self._answer_call(session, call, callable_tools, trajectory)
        return trajectory

    def _stops_here(self, error: RolloutError, trajectory: Trajectory) -> bool:
        overflow = error.failure.kind == "context_length_exceeded"
        return overflow and self.config.on_context_overflow == "stop" and trajectory.last is not None

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
            if self.config.on_tool_failure == "fail":
                raise RolloutError(result.failure)
            trajectory.tool_failure = trajectory.tool_failure or result.failure
        trajectory.items.append(RawItem.function_call_output(call.call_id or "", result.text))

    async def _ask_model(self, params: RawParams) -> tuple[RawResponse, list[RawOutputItem]]:
        # No deadline here: a generation may take long, keep-alive finds a dead peer, and the rollout has its own.
        name = self.config.model_server.name
        answer = await self.server_client.post(server_name=name, url_path="/v1/responses", json=params)
        await raise_for_status(answer)
        response = RawResponse.json_unchecked(await answer.read())
        try:
            return response, response.json_items()
        except ValueError as error:
            reason = f"{name} answered what is no Response: {str(error)[:300]}"
            raise rollout_error("model_bad_output", reason, server=name, status=answer.status) from error

    async def _offered_tools(self) -> OfferedTools:
        if self._offered is None:
            name = self.config.resources_server.name
            deadline = self._deadline("seed_timeout_s", "transport_timeout")
            self._offered = await OfferedTools.ask(self.server_client, name, deadline)
        return self._offered

    def _deadline(self, setting: str, kind: str, grace_s: float = 0.0) -> Deadline:
        return Deadline(getattr(self.config, setting) + grace_s, f"setting {self.config.name}.{setting}", kind)


def _masked(verdict: bytes, failure: Failure) -> bytes:
    return orjson.dumps({**orjson.loads(verdict), **_mask(failure)})


def _mask(failure: Failure) -> dict[str, Any]:
    return {"mask_sample": True, "failure_kind": failure.kind, "failure_reason": failure.reason}


if __name__ == "__main__":
    SimpleAgent.run_webserver()
