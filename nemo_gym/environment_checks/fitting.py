"""The smallest value that fits a JSON schema."""

from collections.abc import Mapping
from typing import Any

_EMPTY: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None, "array": []}


def fitting(schema: Mapping[str, Any], text: str = "x") -> Any:
    """Return a value that fits a tool's schema.

    Args:
        schema: Of the arguments.
        text: Stands where any text fits.
    """
    return _fitting(schema, schema.get("$defs", {}), text)


def _fitting(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str) -> Any:
    if "$ref" in schema:
        return _fitting(definitions[schema["$ref"].rpartition("/")[2]], definitions, text)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if choices := schema.get("enum"):
        return choices[0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _fitting(choices[0], definitions, text)
    kind = schema.get("type", "object" if "properties" in schema or not schema else "string")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _fitting(properties[name], definitions, text) for name in schema.get("required", [])}
    if kind == "array" and schema.get("minItems"):
        return [_fitting(schema["items"], definitions, text)] * schema["minItems"]
    return schema.get("minimum", _EMPTY.get(kind, text))
