"""Objects that travel as the JSON text they came as: checked once where they enter, then passed on.

A conversation of 50 steps is sent 50 times, and an answer may hold 65,536 tokens. To validate, dump and parse all of it
at each server on the way costs more than everything else a server does. So the text stays the text: one level of it is
opened where somebody has to look, and only what was opened is written anew.
"""

from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import msgspec
import orjson
from msgspec import Raw
from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nemo_gym.wire.token_arrays import Arrays, ArraysApart, put_back_arrays, take_out_arrays

Model = TypeVar("Model", bound=BaseModel)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


class RawJson(Generic[Model]):
    """A JSON object that has the shape of a model, as its text.

    The class of a handler's body and of what it returns, where a handler passes on more than it reads. Its own
    attributes begin with `json_`, as no field of an API does; every other attribute is the model's, for which the text
    is parsed when the first of them is asked for.
    """

    json_model: ClassVar[type[BaseModel]]

    def __init__(self, apart: ArraysApart, text: bytes | None = None) -> None:
        """Take a text that is known to be good, its arrays apart, and whole if that is at hand; else `json_checked`."""
        self.json_apart = apart
        self._text = text
        # Not `cached_property`: before Python 3.12 it takes a lock, which costs as much as opening a level.
        self._fields: dict[str, Raw] | None = None
        self._parsed: Model | None = None

    @classmethod
    def json_unchecked(cls, text: bytes) -> Self:
        """Return the object of a text that somebody else has checked, or will."""
        return cls(take_out_arrays(text), text)

    @classmethod
    def json_checked(cls, text: bytes) -> Self:
        """Return the object of a text from outside.

        Raises:
            ValueError: It isn't one of the model (pydantic.ValidationError), isn't JSON (msgspec.DecodeError), or holds
                token arrays that aren't lists of numbers.
        """
        raw = cls(take_out_arrays(text, check=True), text)
        raw.json_check()
        return raw

    @classmethod
    def json_of(cls, given: Any) -> Self:
        """Return an object that is given as one, or as an instance of the model."""
        return given if isinstance(given, cls) else cls(encode(given))

    def json_check(self) -> None:
        """Raise what `json_checked` raises of everything but token arrays."""
        self.json_model.model_validate_json(self.json_apart.text)

    @property
    def json_text(self) -> bytes:
        """The whole text."""
        if self._text is None:
            self._text = put_back_arrays(*self.json_apart)
        return self._text

    @property
    def json_fields(self) -> dict[str, Raw]:
        """Each field as text, without arrays; raises msgspec.DecodeError when this isn't a JSON object."""
        if self._fields is None:
            self._fields = _FIELDS.decode(self.json_apart.text)
        return self._fields

    @property
    def json_parsed(self) -> Model:
        """The object as an instance of the model."""
        if self._parsed is None:
            self._parsed = cast(Model, self.json_model.model_validate(orjson.loads(self.json_text)))
        return self._parsed

    def json_part(self, name: str) -> ArraysApart:
        """Return a field as text; KeyError when it is not there."""
        return ArraysApart(bytes(self.json_fields[name]), self.json_apart.arrays)

    def json_value(self, name: str, default: Any = None) -> Any:
        """Return a field, decoded; token arrays inside it are missing."""
        raw = self.json_fields.get(name)
        return default if raw is None else msgspec.json.decode(raw)

    def json_with(self, **fields: Any) -> Self:
        """Return the object with other values for some fields; each is plain data, `Raw`, a RawJson, or a model."""
        text, arrays = encode({**self.json_fields, **fields})
        return type(self)(ArraysApart(text, {**self.json_apart.arrays, **arrays}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.json_parsed, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # In the OpenAPI page a handler's body is what the model says; FastAPI's own reading ends in one of these too.
        return core_schema.no_info_after_validator_function(cls.json_of, handler.generate_schema(cls.json_model))


def encode(value: Any) -> ArraysApart:
    """Return the JSON text of plain data with raw texts, RawJson objects and models anywhere inside.

    Models are written without their unset fields: as they came.

    Raises:
        TypeError: It holds something JSON has no form for.
    """
    arrays: Arrays = {}

    def form(inner: Any) -> Any:
        if isinstance(inner, RawJson):
            arrays.update(inner.json_apart.arrays)
            return Raw(inner.json_apart.text)
        if isinstance(inner, BaseModel):
            return inner.model_dump(exclude_unset=True)
        raise TypeError(f"JSON has no form for a {type(inner).__name__}")

    return ArraysApart(msgspec.json.encode(value, enc_hook=form), arrays)
