"""A policy model in process that answers what a test says: a list of answers, or a function."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from fastapi import Body
from pydantic import PrivateAttr

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.testing.words import Item, call, numbered, reasoning, response
from nemo_gym.wire.failure import rollout_error
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming

Answer = str | Item | Mapping[str, Any] | Sequence[str | Item] | NeMoGymResponse
"""One answer of a model: a text, an item, several items; a Response; or, as JSON has it, `{"message": …}`,
`{"call": {"name": …, "arguments": {…}}}` or `{"calls": […]}`."""


@dataclass(frozen=True)
class PolicyStep:
    """One call of the policy.

    Attributes:
        index: Of the call in this rollout, from 0.
        results: What the policy reads since its last answer: tool results, or the user's message; oldest first.
        params: The whole request.
    """

    index: int
    results: list[str]
    params: NeMoGymResponseCreateParamsNonStreaming

    @property
    def items(self) -> list[Any]:
        """The conversation, oldest item first."""
        given = self.params.input
        return [{"role": "user", "content": given}] if isinstance(given, str) else list(given)

    @property
    def tools(self) -> list[str]:
        """Names of the tools that the policy is told of."""
        return [str(getattr(tool, "name", "")) for tool in self.params.tools or []]


Policy = Sequence[Answer] | Callable[[PolicyStep], Answer | Awaitable[Answer]]
"""Answers in order, one for each call; or a function that is asked each time."""


@dataclass
class Played:
    """A policy during one rollout: how often it was asked, and what it raised."""

    policy: Policy
    asked: int = 0
    error: Exception | None = field(default=None)

    async def answer(self, params: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        """Return the next answer; what the policy raises is kept for whoever started the rollout."""
        step = PolicyStep(self.asked, _results(params), params)
        self.asked += 1
        try:
            return _response(await self._given(step), step.index)
        except Exception as error:
            self.error = error
            raise rollout_error("model_bad_output", f"the policy of the test raised {error!r}") from error

    async def _given(self, step: PolicyStep) -> Answer:
        if callable(self.policy):
            given = self.policy(step)
            return await given if inspect.isawaitable(given) else given
        if step.index >= len(self.policy):
            last = f"; the last thing it reads is {step.results[-1]!r}" if step.results else ""
            raise AssertionError(f"the policy has {len(self.policy)} answers, and is asked once more{last}")
        return self.policy[step.index]


playing: ContextVar[Played | None] = ContextVar("playing", default=None)
"""The policy of the rollout in whose context a call is made."""


class PolicyModel(SimpleResponsesAPIModel):
    """A model server that asks a policy: its own, or that of the rollout it is called in."""

    config: BaseResponsesAPIModelConfig
    _own: Policy | None = PrivateAttr(default=None)

    @classmethod
    def named(cls, name: str, own: Policy | None = None) -> "PolicyModel":
        """Return the server; without a policy of its own it plays that of the rollout."""
        model = cls(config=BaseResponsesAPIModelConfig(host="", port=0, entrypoint="", name=name))
        model._own = own
        return model

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        """Answer as the policy does."""
        played = playing.get() if self._own is None else Played(self._own)
        if played is None:
            raise RuntimeError(f"{self.config.name} was called outside of a rollout")
        return await played.answer(body)

    async def chat_completions(self, *args: Any, **kwargs: Any) -> Any:
        """Not played."""
        raise NotImplementedError("the policy of a test answers /v1/responses")


def answer_items(answer: Answer) -> list[str | Item]:
    """Return the items of an answer, however it was written."""
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, Mapping):
        return _items_of_json(answer)
    if isinstance(answer, Sequence):
        return list(answer)
    return list(answer.output) if isinstance(answer, NeMoGymResponse) else [answer]  # type: ignore[arg-type]


def _items_of_json(answer: Mapping[str, Any]) -> list[str | Item]:
    unknown = answer.keys() - {"reasoning", "message", "call", "calls"}
    if unknown or not answer:
        raise ValueError(f"an answer has `message`, `call`, `calls` or `reasoning`, not {sorted(answer) or 'nothing'}")
    calls = [*([answer["call"]] if "call" in answer else []), *answer.get("calls", [])]
    return [
        *([reasoning(answer["reasoning"])] if "reasoning" in answer else []),
        *([str(answer["message"])] if "message" in answer else []),
        *(_call_of_json(one) for one in calls),
    ]


def _call_of_json(written: Mapping[str, Any]) -> Item:
    arguments = written.get("arguments") or {}
    name = str(written["name"])
    return call(name, arguments) if isinstance(arguments, str) else call(name, None, **arguments)


def _response(answer: Answer, index: int) -> NeMoGymResponse:
    if isinstance(answer, NeMoGymResponse):
        return answer
    return response(*numbered(answer_items(answer), start=1_000 * index + 1))


def _results(params: NeMoGymResponseCreateParamsNonStreaming) -> list[str]:
    results: list[str] = []
    if isinstance(params.input, str):
        return [params.input]
    for item in reversed(params.input):
        kind, role = getattr(item, "type", None), getattr(item, "role", None)
        if kind not in ("function_call_output",) and role != "user":
            break
        results.append(text_of(item))
    return results[::-1]


def text_of(item: Any) -> str:
    """Return the text of a message or of a tool result."""
    content = getattr(item, "output", None) or getattr(item, "content", "")
    if isinstance(content, str):
        return content
    return "".join(str(getattr(part, "text", "") or "") for part in content or [])
