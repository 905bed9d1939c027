"""Lists with one number for each token: carried from the engine to the rollout file, never looked into on the way."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class CarriedList:
    """Annotation of a list field that is neither checked element by element nor copied.

    Validation and `model_dump()` hand on the very list object; only JSON output walks through it. For 65,536 tokens
    pydantic's own list handling costs about 4 ms per list and dump; this costs microseconds.
    """

    element: Literal["integer", "number"]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # pydantic's `any` serializer copies lists also in Python mode. `to_string` that is used for JSON only is the
        # one serializer that returns the object itself in Python mode; the outer one takes over for JSON.
        kept = core_schema.any_schema(serialization=core_schema.to_string_ser_schema(when_used="json"))
        as_json = core_schema.plain_serializer_function_ser_schema(_unchanged, when_used="json")
        return core_schema.no_info_after_validator_function(_check_list, kept, serialization=as_json)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "array", "items": {"type": self.element}}


def _check_list(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError(f"should be a list with one number for each token, not {type(value).__name__}")
    return value


def _unchanged(value: object) -> object:
    return value


TokenIDs = Annotated[list[int], CarriedList("integer")]
"""Token ids of the model's vocabulary, shape (num_tokens,)."""

TokenLogProbs = Annotated[list[float], CarriedList("number")]
"""Natural-log probabilities, shape (num_tokens,), each <= 0."""
