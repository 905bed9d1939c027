"""Objects that are carried: checked once where they enter, then passed on as the JSON text they came as.

A conversation of 50 steps is sent 50 times, and an answer may hold 65,536 tokens. To validate, dump and parse all of it
at each server on the way costs more than everything else a server does. So the text stays the text: one level of it is
opened where somebody has to look, and only what was opened is written anew.
"""

from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec
import orjson
from msgspec import Raw
from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nemo_gym.wire.token_spans import CutText, Spans, cut_token_arrays, put_back

Model = TypeVar("Model", bound=BaseModel)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


class Carried(Generic[Model]):
    """A JSON object that has the shape of a model, as its text.

    The class of a handler's body and of what it returns, where a handler passes on more than it reads. Attributes that
    are none of its own are the model's, for which the text is parsed when the first of them is asked for.
    """

    model: ClassVar[type[BaseModel]]

    def __init__(self, cut: CutText, text: bytes | None = None) -> None:
        """Take a text that is known to be good, cut, and whole if that is at hand; from outside: `read`."""
        self.cut = cut
        self._text = text
        # Not `cached_property`: before Python 3.12 it takes a lock, which costs as much as opening a level.
        self._fields: dict[str, Raw] | None = None
        self._typed: Model | None = None

    @classmethod
    def unchecked(cls, text: bytes) -> Self:
        """Return the object of a text that somebody else has checked, or will."""
        return cls(cut_token_arrays(text), text)

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Return the object of a text from outside.

        Raises:
            pydantic.ValidationError, msgspec.DecodeError: It is not one of the model.
        """
        carried = cls.unchecked(text)
        carried.check()
        return carried

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return an object that is given as one, or as an instance of the model."""
        return given if isinstance(given, cls) else cls(encode(given))

    def check(self) -> None:
        """Raise what `read` raises."""
        self.model.model_validate_json(self.cut.text)

    @property
    def text(self) -> bytes:
        """The whole text."""
        if self._text is None:
            self._text = put_back(*self.cut)
        return self._text

    @property
    def fields(self) -> dict[str, Raw]:
        """Each field as text, from the cut one; raises msgspec.DecodeError when this is no JSON object."""
        if self._fields is None:
            self._fields = _FIELDS.decode(self.cut.text)
        return self._fields

    @property
    def typed(self) -> Model:
        """The object as an instance of the model."""
        if self._typed is None:
            self._typed = self.model.model_validate(orjson.loads(self.text))  # type: ignore[assignment]
        return self._typed  # type: ignore[return-value]

    def part(self, name: str) -> CutText:
        """Return a field as text; KeyError when it is not there."""
        return CutText(bytes(self.fields[name]), self.cut.spans)

    def value(self, name: str, default: Any = None) -> Any:
        """Return a field, decoded; token arrays inside it are missing."""
        raw = self.fields.get(name)
        return default if raw is None else msgspec.json.decode(raw)

    def replaced(self, **fields: Any) -> Self:
        """Return the object with other values for some fields; each is plain data, `Raw`, carried, or a model."""
        text, spans = encode({**self.fields, **fields})
        return type(self)(CutText(text, {**self.cut.spans, **spans}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.typed, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # In the OpenAPI page a handler's body is what the model says; FastAPI's own reading ends in one of these too.
        return core_schema.no_info_after_validator_function(cls.of, handler.generate_schema(cls.model))


def encode(value: Any) -> CutText:
    """Return the JSON text of plain data with raw texts, carried objects and models anywhere inside.

    Models are written without their unset fields: as they came.

    Raises:
        TypeError: It holds something JSON has no form for.
    """
    spans: Spans = {}

    def form(inner: Any) -> Any:
        if isinstance(inner, Carried):
            spans.update(inner.cut.spans)
            return Raw(inner.cut.text)
        if isinstance(inner, BaseModel):
            return inner.model_dump(exclude_unset=True)
        raise TypeError(f"JSON has no form for a {type(inner).__name__}")

    return CutText(msgspec.json.encode(value, enc_hook=form), spans)
