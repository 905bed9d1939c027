"""The type of a JSON object of any shape, decoded."""

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object whose shape somebody else decides: an engine, a task row, an author's handler."""
