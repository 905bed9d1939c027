"""What a verifier sees of a rollout: texts, tool calls with their results, the conversation."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from nemo_gym.environments.turns import UserReply, Utterance
from nemo_gym.wire.environment import BaseVerifyRequest, NextTurnRequest
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_items import NeMoGymFunctionCallOutput, NeMoGymResponseFunctionToolCall
from nemo_gym.wire.tool_arguments import tool_arguments


@dataclass(frozen=True)
class ToolCall:
    """A call that the policy made.

    Attributes:
        name: Of the tool, as the policy wrote it; there may be no such tool.
        arguments: None where the policy wrote no JSON object.
        output: What the policy read as the result; None when the rollout ended before there was one.
    """

    name: str
    arguments: JsonObject | None
    output: str | None


class Rollout:
    """A rollout that is to be verified, or as far as it is when the user is to speak.

    Attributes:
        response: The last Response, with all items that came after the prompt as its `output`.
    """

    def __init__(self, request: BaseVerifyRequest) -> None:
        self.response: NeMoGymResponse = request.response
        self._request = request

    @property
    def text(self) -> str:
        """The policy's final message; empty when the rollout ends with anything else, such as a tool call."""
        output = self.response.output
        return _text(output[-1]) if output and _is_answer(output[-1]) else ""

    @cached_property
    def texts(self) -> list[str]:
        """All messages of the policy, in order."""
        return [_text(item) for item in self.response.output if _is_answer(item)]

    @cached_property
    def calls(self) -> list[ToolCall]:
        """All tool calls of the policy, in order."""
        items = self.response.output
        results = [item for item in items if isinstance(item, NeMoGymFunctionCallOutput)]
        outputs = {result.call_id: _output_text(result.output) for result in results}
        return [
            ToolCall(item.name, tool_arguments(item.arguments), outputs.get(item.call_id))
            for item in items
            if isinstance(item, NeMoGymResponseFunctionToolCall)
        ]

    def calls_of(self, name: str) -> list[ToolCall]:
        """Return the calls of one tool."""
        return [call for call in self.calls if call.name == name]

    @cached_property
    def turns(self) -> int:
        """User messages of the episode: the task's, and those that came after it."""
        return 1 + sum(_is_by(item, "user") for item in self.response.output)

    @cached_property
    def dialogue(self) -> list[Utterance]:
        """What user and policy have said to each other, in order, the task's messages included."""
        given = self._request.responses_create_params.input
        before = [Utterance("user", given)] if isinstance(given, str) else _utterances(given)
        return before + _utterances(self.response.output)

    @property
    def replayed_reply(self) -> UserReply | None:
        """In `next_turn`, what the user said when this turn was taken before; None: it is taken now.

        A rollout that is verified again gets its session's state back by taking every turn again. A user that would
        say something else each time, or costs something, returns this instead.
        """
        turn = self._request.replayed_turn if isinstance(self._request, NextTurnRequest) else None
        return None if turn is None else UserReply(None if turn.message is None else turn.message["content"])

    @property
    def prompt(self) -> str:
        """The text of the last user message of the task."""
        given = self._request.responses_create_params.input
        if isinstance(given, str):
            return given
        texts = [_text(item) for item in given if getattr(item, "role", None) == "user"]
        return texts[-1] if texts else ""

    @property
    def is_cut_off(self) -> bool:
        """Whether the last answer reached a limit of tokens."""
        return self.response.incomplete_details is not None


def _is_answer(item: object) -> bool:
    return getattr(item, "type", None) == "message" and _is_by(item, "assistant")


def _is_by(item: object, role: str) -> bool:
    return getattr(item, "role", None) == role


def _utterances(items: Iterable[object]) -> list[Utterance]:
    by_role = ((item, getattr(item, "role", None)) for item in items)
    return [Utterance(role, _text(item)) for item, role in by_role if role == "user" or role == "assistant"]


def _text(message: object) -> str:
    content = getattr(message, "content", "")
    if isinstance(content, str):
        return content
    return "".join(getattr(part, "text", "") or "" for part in content or [])


def _output_text(output: object) -> str:
    if isinstance(output, str):
        return output
    parts = output if isinstance(output, list) else []
    return "".join(str(part.get("text", "") if isinstance(part, dict) else getattr(part, "text", "")) for part in parts)
