"""The Responses API's request and answer as JSON text: what a server on the way looks at, and no more."""

from functools import lru_cache
from typing import Self

import msgspec
from msgspec import Raw

from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_items import NeMoGymResponseItem
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.wire.raw_json import RawJson, encode
from nemo_gym.wire.token_arrays import ArraysApart

_ITEMS = msgspec.json.Decoder(list[Raw])


class RawItemHead(msgspec.Struct):
    """What a loop over tool calls needs to know of an item. The last three are there in a `function_call`."""

    type: str | None = "message"
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class RawItem(RawJson[NeMoGymResponseItem]):
    """One item of a conversation."""

    json_model = NeMoGymResponseItem

    @classmethod
    def function_call_output(cls, call_id: str, output: str) -> Self:
        """Return the result of a call, as the model will read it."""
        return cls(encode({"type": "function_call_output", "call_id": call_id, "output": output}))


class RawOutputItem(RawItem):
    """One item of `output`, with its head; raises msgspec.DecodeError when it isn't one."""

    def __init__(self, apart: ArraysApart) -> None:
        super().__init__(apart)
        self.json_head = head = _ITEM_HEAD.decode(apart.text)
        if head.type == "function_call" and None in (head.call_id, head.name, head.arguments):
            raise msgspec.ValidationError("a function_call needs call_id, name and arguments")


class RawResponseHead(msgspec.Struct):
    """What a loop over model calls needs to know of a Response."""

    id: str
    created_at: float
    model: str
    output: list[Raw]
    status: str | None = None
    error: JsonObject | None = None
    incomplete_details: JsonObject | None = None
    usage: JsonObject | None = None


_HEAD = msgspec.json.Decoder(RawResponseHead)
_ITEM_HEAD = msgspec.json.Decoder(RawItemHead)


class RawParams(RawJson[NeMoGymResponseCreateParamsNonStreaming]):
    """Create parameters; the items of `input` are left for the endpoint to check."""

    json_model = NeMoGymResponseCreateParamsNonStreaming

    @classmethod
    def json_checked(cls, text: bytes) -> Self:
        """Return the parameters of a text from outside, without its `stream: false`."""
        raw = super().json_checked(text)
        if "stream" not in raw.json_fields and "stream_options" not in raw.json_fields:
            return raw
        kept = {name: field for name, field in raw.json_fields.items() if name not in ("stream", "stream_options")}
        return cls(ArraysApart(encode(kept).text, raw.json_apart.arrays))

    def json_check(self) -> None:
        """Raise what `json_checked` raises of everything but token arrays."""
        given = self.json_fields.get("input")
        looks_right = given is not None and _first_byte(given) in (b'"', b"[")
        _check_params(encode({**self.json_fields, "input": ""} if looks_right else self.json_fields).text)

    def json_input_items(self) -> list[RawItem]:
        """Return `input` as a list of items; a text is the one message of its user."""
        given = self.json_fields["input"]
        if _first_byte(given) == b'"':
            return [RawItem(encode({"role": "user", "content": given}))]
        return [RawItem(ArraysApart(bytes(item), self.json_apart.arrays)) for item in _ITEMS.decode(given)]


def _first_byte(raw: Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


@lru_cache(maxsize=64)
def _check_params(text: bytes) -> None:
    # Rollouts of one collection differ in their input alone: what else they ask for is looked at once.
    NeMoGymResponseCreateParamsNonStreaming.model_validate_json(text)


class RawResponse(RawJson[NeMoGymResponse]):
    """An answer of a model, or of an agent."""

    json_model = NeMoGymResponse
    _head: RawResponseHead | None = None

    @property
    def json_head(self) -> RawResponseHead:
        """Its parts, opened; raises msgspec.DecodeError when this isn't a Response."""
        if self._head is None:
            self._head = _HEAD.decode(self.json_apart.text)
        return self._head

    def json_items(self) -> list[RawOutputItem]:
        """Return the items of `output`, in order; raises msgspec.DecodeError when this isn't a Response."""
        arrays = self.json_apart.arrays
        return [RawOutputItem(ArraysApart(bytes(raw), arrays)) for raw in self.json_head.output]
