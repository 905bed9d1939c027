"""A prepared answer in its short written form: a message, tool calls, both, or raw output items."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from responses_api_models.scripted_model.latency import Latency
from responses_api_models.scripted_model.template import fill

TokenCount = Field(default=0, ge=0)


class Call(BaseModel):
    """One tool call the scripted policy makes."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Tool name; any text, so that unknown and hostile names can be played.")
    arguments: dict[str, Any] | str = Field(
        default_factory=dict, description="An object, sent as its JSON; or a text sent as it is, e.g. broken JSON."
    )

    def arguments_text(self) -> str:
        """Return the arguments as the text a model would have written."""
        return self.arguments if isinstance(self.arguments, str) else orjson.dumps(self.arguments).decode()


class Usage(BaseModel):
    """Token counts to report instead of the estimate."""

    model_config = ConfigDict(extra="forbid")

    input_tokens: int = TokenCount
    cached_tokens: int = TokenCount
    output_tokens: int = TokenCount
    reasoning_tokens: int = TokenCount


class Answer(BaseModel):
    """What the scripted policy answers to one model call.

    `message`, `reasoning` and `call`/`calls` combine in the order reasoning, message, calls. `output` stands alone.
    """

    model_config = ConfigDict(extra="forbid")

    message: str | None = Field(default=None, description="Text of the assistant's message.")
    call: Call | None = Field(default=None, description="One tool call.")
    calls: list[Call] = Field(default_factory=list, description="Several tool calls of one step, in order.")
    reasoning: str | None = Field(default=None, description="Reasoning text before the message and the calls.")
    output: list[dict[str, Any]] | None = Field(
        default=None, description="Responses output items, sent unchanged (token ids, unknown types, ...)."
    )
    incomplete: Literal["max_output_tokens", "content_filter"] | None = Field(
        default=None, description="Report the answer as cut off for this reason."
    )
    usage: Usage | None = Field(default=None, description="Token counts; absent: estimated from the sizes.")
    latency_s: Latency | None = Field(default=None, description="Seconds or [min, max]; absent: the server's.")

    @model_validator(mode="after")
    def _says_something_once(self) -> Self:
        written = [self.message is not None, self.reasoning is not None, self.call is not None, bool(self.calls)]
        if self.output is not None and any(written):
            raise ValueError("'output' stands alone: leave out message, call, calls and reasoning")
        if self.call is not None and self.calls:
            raise ValueError("write either 'call' or 'calls'")
        if self.output is None and not any(written):
            raise ValueError("empty answer: needs one of message, call, calls, reasoning, output")
        return self

    def all_calls(self) -> list[Call]:
        """Return the tool calls, however they were written."""
        return [self.call] if self.call is not None else self.calls

    def filled(self, groups: Mapping[str, str]) -> "Answer":
        """Return the answer with `$name` replaced by the captured text; without any group, the answer as written."""
        if not groups:
            return self
        # Copied without validation: filling a text cannot make a valid answer invalid.
        calls = [call.model_copy(update=fill(vars(call), groups)) for call in self.all_calls()]
        texts = {name: fill(getattr(self, name), groups) for name in ("message", "reasoning", "output")}
        return self.model_copy(update={**texts, "call": None, "calls": calls})
