"""The script: prepared answers in their short written form, and which of them a model call gets."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from string import Template
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model.asgi import RequestError, reasons
from responses_api_models.scripted_model.conversation import Conversation, When

Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
TokenCount = Field(default=0, ge=0)


def _ordered(latency: float | tuple[float, float]) -> float | tuple[float, float]:
    if isinstance(latency, tuple) and latency[0] > latency[1]:
        raise ValueError(f"the range runs backwards: {latency[0]} > {latency[1]}; write [min, max]")
    return latency


Latency = Annotated[Seconds | tuple[Seconds, Seconds], AfterValidator(_ordered)]
"""Seconds: a number, or `[min, max]` for a uniform draw."""


class Call(BaseModel):
    """One tool call the scripted policy makes."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Tool name; any text, so that unknown and hostile names can be played.")
    arguments: JsonObject | str = Field(
        default_factory=dict, description="An object, sent as its JSON; or a text sent as it is, e.g. broken JSON."
    )

    def arguments_text(self) -> str:
        """Return the arguments as the text a model would have written."""
        return self.arguments if isinstance(self.arguments, str) else orjson.dumps(self.arguments).decode()


class Usage(BaseModel):
    """Token counts to report."""

    model_config = ConfigDict(extra="forbid")

    input_tokens: int = TokenCount
    cached_tokens: int = TokenCount
    output_tokens: int = TokenCount
    reasoning_tokens: int = TokenCount


class Failure(BaseModel):
    """The `error` of a Response whose status is `failed`."""

    model_config = ConfigDict(extra="forbid")

    code: str = "server_error"
    message: str = "The model failed to generate a response."


class Answer(BaseModel):
    """What the scripted policy answers to one model call.

    `reasoning`, `message` or `refusal`, and `call`/`calls` combine in this order. `output` stands alone.
    """

    model_config = ConfigDict(extra="forbid")

    message: str | None = Field(default=None, description="Text of the assistant's message.")
    refusal: str | None = Field(default=None, description="A refusal instead of a message.")
    call: Call | None = Field(default=None, description="One tool call.")
    calls: list[Call] = Field(default_factory=list, description="Several tool calls of one step, in order.")
    reasoning: str | None = Field(default=None, description="Reasoning text before the message and the calls.")
    output: list[JsonObject] | None = Field(
        default=None, description="Responses output items, sent unchanged (token ids, unknown types, ...)."
    )
    incomplete: Literal["max_output_tokens", "content_filter"] | None = Field(
        default=None, description="Report the answer as cut off for this reason."
    )
    status: Literal["completed", "failed", "cancelled", "queued", "in_progress"] = Field(
        default="completed", description="Status to report; any but `completed` may come without output."
    )
    error: Failure | None = Field(default=None, description="Error of a failed answer; absent: a server error.")
    usage: Usage | None = Field(default=None, description="Token counts; absent: estimated from the sizes.")
    latency_s: Latency | None = Field(default=None, description="Seconds or [min, max]; absent: the server's.")

    @model_validator(mode="after")
    def _says_something_once(self) -> Self:
        texts = [self.message is not None, self.refusal is not None]
        written = [*texts, self.reasoning is not None, self.call is not None, bool(self.calls)]
        if self.output is not None and any(written):
            raise ValueError("'output' stands alone: leave out message, refusal, call, calls and reasoning")
        if all(texts):
            raise ValueError("write either 'message' or 'refusal'")
        if self.call is not None and self.calls:
            raise ValueError("write either 'call' or 'calls'")
        if self.output is None and not any(written) and self.status == "completed":
            raise ValueError("empty answer: needs one of message, refusal, call, calls, reasoning, output")
        if self.incomplete and self.status != "completed":
            raise ValueError("write either 'incomplete' or 'status'")
        if self.error and self.status != "failed":
            raise ValueError("'error' needs 'status: failed'")
        return self

    def all_calls(self) -> list[Call]:
        """Return the tool calls, however they were written."""
        return [self.call] if self.call is not None else self.calls

    def filled(self, groups: Mapping[str, str]) -> "Answer":
        """Return the answer with `$name` replaced by the captured text; without any group, the answer as written."""
        if not groups:
            return self
        # Copied without validation: filling a text cannot make a valid answer invalid.
        calls = [call.model_copy(update=_filled(vars(call), groups)) for call in self.all_calls()]
        texts = {name: _filled(getattr(self, name), groups) for name in ("message", "refusal", "reasoning", "output")}
        return self.model_copy(update={**texts, "call": None, "calls": calls})


def _filled(value: Any, groups: Mapping[str, str]) -> Any:
    """Replace `$name` and `${name}` in every text inside a JSON value; unknown names stay, `$$` becomes `$`.

    Texts are filled before they are encoded, so a quote in a captured text cannot break the JSON of a tool call.
    """
    if isinstance(value, str):
        return Template(value).safe_substitute(groups) if "$" in value else value
    if isinstance(value, Mapping):
        return {key: _filled(part, groups) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, groups) for part in value]
    return value


class Rule(BaseModel):
    """An answer and the requests it is for."""

    model_config = ConfigDict(extra="forbid")

    when: When = Field(description="A condition, or `any`.")
    answer: Answer


def choose_answer(conversation: Conversation, rules: Sequence[Rule], default: Answer) -> Answer:
    """Return the first answer that fits, templates filled.

    Args:
        conversation: The request. Its `script` (a list, at the top level) or `metadata.script` (the same list as
            JSON text) holds the answers of its rollout: entry N, from 0, answers the model call at step N.
        rules: Tried in order when the row has no script, or its script has ended.
        default: For what no rule is about.

    Raises:
        RequestError: The row's script isn't a list, or its entry isn't a valid answer; the message says why.
    """
    scripted = _scripted_answer(conversation)
    if scripted is not None:
        return scripted
    for rule in rules:
        groups = rule.when.match(conversation)
        if groups is not None:
            return rule.answer.filled(groups)
    return default


AnswerFunction = Callable[[JsonObject], Any]
"""Gets the body of a model call; returns a text, an `Answer`, or one as a mapping; may be a coroutine function."""


async def answer_of(function: AnswerFunction, request: Mapping[str, Any]) -> Answer:
    """Return the answer of a program's function to one model call.

    Raises:
        RequestError: It raised, or what it returned isn't an answer; the message says so.
    """
    try:
        said = function(dict(request))
        if inspect.isawaitable(said):
            said = await said
    except Exception as error:  # a bug of the program's own function is a failure of this rollout, which names it
        raise RequestError(f"the function that answers raised {error!r}") from error
    try:
        return Answer(message=said) if isinstance(said, str) else Answer.model_validate(said)
    except ValidationError as error:
        raise RequestError(f"the function that answers returned no answer: {reasons(error)}") from error


def _scripted_answer(conversation: Conversation) -> Answer | None:
    script = _script(conversation)
    if script is None:
        return None
    if not isinstance(script, list):
        raise RequestError("'script' must be a list of answers, one for each model call.", param="script")
    if conversation.step >= len(script):
        return None
    try:
        return Answer.model_validate(script[conversation.step])
    except ValidationError as error:
        raise RequestError(f"'script' entry {conversation.step}: {reasons(error)}", param="script") from error


def _script(conversation: Conversation) -> Any:
    script = conversation.request.get("script")
    if script is not None:
        return script
    encoded = conversation.metadata.get("script")
    try:
        return None if encoded is None else orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"'metadata.script' isn't JSON text: {error}", param="metadata.script") from error
