"""Tools from methods: the schema that the policy reads, from type hints and docstring."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from nemo_gym.environments.cpu_heavy import check_cpu_heavy
from nemo_gym.environments.docstrings import read_docstring
from nemo_gym.servers.sessions.tools import is_tool_name
from nemo_gym.wire.json_object import JsonObject

Method = TypeVar("Method", bound=Callable[..., Any])
STATE = "state"
_MARK = "nemo_gym_tool"


@dataclass(frozen=True)
class ToolOptions:
    """What `@tool` was given."""

    name: str | None = None
    strict: bool = True
    cpu_heavy: bool = False


@overload
def tool(method: Method) -> Method: ...


@overload
def tool(*, name: str | None = None, strict: bool = True, cpu_heavy: bool = False) -> Callable[[Method], Method]: ...


def tool(method: Method | None = None, *, name: str | None = None, strict: bool = True, cpu_heavy: bool = False) -> Any:
    """Make a method of an environment a tool of the policy.

    Its arguments, all with type hints, become the tool's; its docstring, in Google's style, describes both. A
    parameter `state` is the session's state. The only parameter may also be a pydantic model, whose fields are then the
    arguments. A text that it returns is read by the policy as it is, anything else as JSON. A plain `def` runs in a
    thread.

    Args:
        method: The method, where the decorator is used without brackets.
        name: Of the tool; by default the method's.
        strict: Declare the schema as strict where it can be: without defaults and free-form objects. Engines then force
            the arguments to fit, and give log-probabilities under that constraint.
        cpu_heavy: It computes for long: call it in a process of its own, as a `verifier` that is. It is a plain `def`
            without `state`.
    """

    def mark(function: Method) -> Method:
        setattr(function, _MARK, ToolOptions(name, strict, cpu_heavy))
        return function

    return mark if method is None else mark(method)


class ToolArguments(BaseModel):
    """Base of the arguments of a tool: no others are taken, and the schema has no titles."""

    model_config = ConfigDict(extra="forbid")

    has_strict_schema: ClassVar[bool] = False

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> JsonObject:
        """Return the schema as the policy reads it."""
        schema: JsonObject = super().model_json_schema(*args, **{"schema_generator": _WithoutTitles, **kwargs})
        schema.setdefault("properties", {})
        return schema


class _WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True)
class ToolMethod:
    """A tool of an environment.

    Attributes:
        name: As the policy calls it.
        description: For the policy.
        function: The method, unbound.
        arguments: Class of its arguments.
        takes_state: It wants the session's state.
        whole: The parameter that takes the arguments as one model; None: each has a parameter of its own.
        cpu_heavy: It is called as heavy work.
    """

    name: str
    description: str
    function: Callable[..., Any]
    arguments: type[BaseModel]
    takes_state: bool
    whole: str | None
    cpu_heavy: bool = False

    def call(self, environment: Any, body: BaseModel, state: Any) -> Any:
        """Call the method; a coroutine function gives its coroutine."""
        given = {self.whole: body} if self.whole else {name: getattr(body, name) for name in type(body).model_fields}
        return self.function(environment, **given, **({STATE: state} if self.takes_state else {}))


def tool_methods(owner: type) -> dict[str, ToolMethod]:
    """Return the tools of a class by name, in the order in which they are written; those of its bases come first.

    Raises:
        TypeError: A method can't be a tool: a parameter without a type hint, `*args`, or an impossible name.
    """
    found: dict[str, ToolMethod] = {}
    names = dict.fromkeys(name for base in (*owner.__mro__[1:], owner) for name in vars(base))
    for name in names:
        function = inspect.getattr_static(owner, name)
        options = getattr(function, _MARK, None)
        if isinstance(options, ToolOptions) and callable(function):
            made = _tool_method(owner, function, options)
            found[made.name] = made
    return found


def _tool_method(owner: type, function: Callable[..., Any], options: ToolOptions) -> ToolMethod:
    where = f"{owner.__name__}.{function.__name__}"
    name = options.name or function.__name__
    if not is_tool_name(name):
        raise TypeError(f"{where}: a tool can't be named {name!r}: it is one of the server's own routes, or no path")
    docstring = read_docstring(function)
    parameters = typed_parameters(function, where)
    takes_state = parameters.pop(STATE, None) is not None
    whole = _whole_model(parameters)
    if whole is not None:
        arguments = whole[1]
    else:
        fields = {key: _described(value, docstring.parameters.get(key)) for key, value in parameters.items()}
        made = create_model(f"{owner.__name__}_{name}", __base__=ToolArguments, **fields)  # type: ignore[call-overload]
        made.has_strict_schema = options.strict and can_be_strict(made.model_json_schema())
        arguments = made
    if options.cpu_heavy:
        if takes_state:
            raise TypeError(f"{where}: a cpu_heavy tool can't have `state`, which it couldn't change from its process")
        check_cpu_heavy(owner, function)
    taken_by = whole[0] if whole else None
    return ToolMethod(name, docstring.text, function, arguments, takes_state, taken_by, options.cpu_heavy)


def typed_parameters(function: Callable[..., Any], where: str) -> dict[str, tuple[Any, Any]]:
    """Return type and default (`...` without one) of each parameter of a method but `self`.

    Raises:
        TypeError: One has no type hint, or takes any number of arguments.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    found: dict[str, tuple[Any, Any]] = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{where}: *{parameter.name} can't be described; name each parameter")
        if parameter.name not in hints:
            raise TypeError(f"{where}: parameter {parameter.name} needs a type hint")
        default = ... if parameter.default is parameter.empty else parameter.default
        found[parameter.name] = (hints[parameter.name], default)
    return found


def _whole_model(parameters: dict[str, tuple[Any, Any]]) -> tuple[str, type[BaseModel]] | None:
    if len(parameters) != 1:
        return None
    ((name, (hint, _)),) = parameters.items()
    return (name, hint) if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def _described(parameter: tuple[Any, Any], description: str | None) -> tuple[Any, Any]:
    hint, default = parameter
    if typing.get_origin(hint) is Annotated:
        hint, *marks = typing.get_args(hint)
        texts = [mark for mark in marks if isinstance(mark, str)]
        rest = [mark for mark in marks if not isinstance(mark, str)]
        description = texts[0] if texts else description
        hint = Annotated[(hint, *rest)] if rest else hint
    if isinstance(default, FieldInfo):
        return hint, default
    return hint, Field(default, description=description)


def can_be_strict(schema: JsonObject) -> bool:
    """Tell whether a schema fits what the Responses API wants of a strict function: all required, nothing free."""
    if schema.get("type") == "object" or "properties" in schema:
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", [])) != names:
            return False
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", [])]
    items = schema.get("items")
    return all(can_be_strict(one) for one in [*inner, *([items] if isinstance(items, dict) else [])])
