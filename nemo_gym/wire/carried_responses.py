"""The Responses API's request and answer, carried: what a server on the way looks at, and no more."""

from functools import lru_cache
from typing import Self

import msgspec
from msgspec import Raw

from nemo_gym.wire.carried import Carried, encode
from nemo_gym.wire.openai.responses import NeMoGymResponse
from nemo_gym.wire.openai.responses_items import NeMoGymResponseItem
from nemo_gym.wire.openai.responses_params import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.wire.token_spans import CutText

_ITEMS = msgspec.json.Decoder(list[Raw])


class CarriedItemHead(msgspec.Struct):
    """What a loop over tool calls needs to know of an item. The last three are there in a `function_call`."""

    type: str | None = "message"
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class CarriedItem(Carried[NeMoGymResponseItem]):
    """One item of a conversation."""

    model = NeMoGymResponseItem

    @classmethod
    def function_call_output(cls, call_id: str, output: str) -> Self:
        """Return the result of a call, as the model will read it."""
        return cls(encode({"type": "function_call_output", "call_id": call_id, "output": output}))


class CarriedOutputItem(CarriedItem):
    """One item of `output`, with its head; raises msgspec.DecodeError when it is none."""

    def __init__(self, cut: CutText) -> None:
        super().__init__(cut)
        self.head = _ITEM_HEAD.decode(cut.text)
        if self.head.type == "function_call" and None in (self.head.call_id, self.head.name, self.head.arguments):
            raise msgspec.ValidationError("a function_call needs call_id, name and arguments")


class _ResponseHead(msgspec.Struct):
    id: str
    created_at: float
    model: str
    output: list[Raw]


_HEAD = msgspec.json.Decoder(_ResponseHead)
_ITEM_HEAD = msgspec.json.Decoder(CarriedItemHead)


class CarriedParams(Carried[NeMoGymResponseCreateParamsNonStreaming]):
    """Create parameters. `read` checks everything but the items of `input`: these are the endpoint's to judge."""

    model = NeMoGymResponseCreateParamsNonStreaming

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Return the parameters of a text from outside, without its `stream: false`."""
        carried = super().read(text)
        if "stream" not in carried.fields and "stream_options" not in carried.fields:
            return carried
        kept = {name: raw for name, raw in carried.fields.items() if name not in ("stream", "stream_options")}
        return cls(CutText(encode(kept).text, carried.cut.spans))

    def check(self) -> None:
        """Raise what `read` raises."""
        given = self.fields.get("input")
        looks_right = given is not None and _first_byte(given) in (b'"', b"[")
        _check_params(encode({**self.fields, "input": ""} if looks_right else self.fields).text)

    def input_items(self) -> list[CarriedItem]:
        """Return `input` as a list of items; a text is the one message of its user."""
        given = self.fields["input"]
        if _first_byte(given) == b'"':
            return [CarriedItem(encode({"role": "user", "content": given}))]
        return [CarriedItem(CutText(bytes(item), self.cut.spans)) for item in _ITEMS.decode(given)]


def _first_byte(raw: Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


@lru_cache(maxsize=64)
def _check_params(text: bytes) -> None:
    # Rollouts of one collection differ in their input alone: what else they ask for is looked at once.
    NeMoGymResponseCreateParamsNonStreaming.model_validate_json(text)


class CarriedResponse(Carried[NeMoGymResponse]):
    """An answer of a model, or of an agent."""

    model = NeMoGymResponse

    def items(self) -> list[CarriedOutputItem]:
        """Return the items of `output`, in order; raises msgspec.DecodeError when this is no Response."""
        text, spans = self.cut
        return [CarriedOutputItem(CutText(bytes(raw), spans)) for raw in _HEAD.decode(text).output]
