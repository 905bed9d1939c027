"""Base classes of the wire types: nothing unknown is lost, nothing is streamed."""

from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, SerializeAsAny, model_validator

_STREAMING_KEYS = ("stream", "stream_options")


class OpenModel(BaseModel):
    """An object of a published API whose unknown fields stay on it, unchanged and in their order.

    `model_dump(exclude_unset=True)` gives back exactly the object that was validated. Instances given where an
    instance is expected are kept as they are; those of somebody else's class are read attribute by attribute. Fields
    can be read as `part["text"]` too, as where a client has dictionaries. Used without own fields it is any object.
    """

    # protected_namespaces: the APIs have fields like `model` and engines add `model_extra_info`; neither is a fault.
    model_config = ConfigDict(extra="allow", protected_namespaces=(), from_attributes=True)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None


AnyObject: TypeAlias = SerializeAsAny[OpenModel]
"""A carried object: attribute access, any fields; an instance of a subclass is written out with all of its own."""


class TypedModel(OpenModel):
    """An object that its reader recognizes by its `type`; what is `always_dumped` is therefore part of every dump."""

    always_dumped: ClassVar[tuple[str, ...]] = ("type",)

    def model_post_init(self, context: Any, /) -> None:
        # An object built in Python with its default `type` would lose it in `model_dump(exclude_unset=True)`.
        self.__pydantic_fields_set__.update(self.always_dumped)


class NonStreamingParams(OpenModel):
    """Create parameters of a request that is answered in one piece.

    Raises:
        ValidationError: `stream` is true. `stream: false` and `stream: null` are accepted and left out.
    """

    @model_validator(mode="before")
    @classmethod
    def _refuse_streaming(cls, params: Any) -> Any:
        if not isinstance(params, dict) or not ("stream" in params or "stream_options" in params):
            return params
        if params.get("stream"):
            raise ValueError("streaming is not supported: leave `stream` out or set it to false")
        return {key: value for key, value in params.items() if key not in _STREAMING_KEYS}
