"""What a handler returned, as JSON bytes."""

from typing import Any

import orjson
from msgspec import Raw
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from nemo_gym.wire.openai.responses import RESPONSE_DEFAULTS, NeMoGymResponse
from nemo_gym.wire.raw_json import RawJson

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def encode_result(answer: Any) -> bytes:
    """Encode a pydantic model, or anything JSON has a form for.

    A Response is written as it came, with the defaults of fields that the API always has; other models with all their
    fields, since a default in a tool's result is something the policy has to read.

    Raises:
        TypeError: `answer` holds something JSON has no form for.
    """
    if isinstance(answer, RawJson):
        return answer.json_text
    if isinstance(answer, BaseModel):
        # To Python first: token ids go by reference to orjson, where pydantic's own JSON writer walks them slowly.
        is_response = isinstance(answer, NeMoGymResponse)
        answer = answer.model_dump(exclude_unset=is_response)
        if is_response:
            answer = answer | {key: value for key, value in RESPONSE_DEFAULTS.items() if key not in answer}
    return encode_json(answer)


def encode_json(data: Any) -> bytes:
    """Encode plain data; models inside it are written without their unset fields, `Raw` as it is."""
    if isinstance(data, RawJson):
        return data.json_text
    return orjson.dumps(data, option=_OPTIONS, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Raw):
        return orjson.Fragment(bytes(value))
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else to_jsonable_python(value)
