"""The JSON Schema of each file of a collection, made from the models that write and read it."""

from typing import Any

from pydantic import TypeAdapter

from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.metrics.metrics import MetricsRecord
from nemo_gym.collections.records import FailureRecord, JournalEvent, MaterializedInput, RolloutRow, UnverifiedRecord

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

FORMATS: dict[str, Any] = {
    "rollouts": RolloutRow,
    "failures": FailureRecord,
    "journal": JournalEvent,
    "unverified": UnverifiedRecord,
    "materialized_inputs": MaterializedInput,
    "manifest": Manifest,
    "metrics": MetricsRecord,
}
"""The model behind each file, by what its name ends in. Of a JSONL file it is the model of a line."""


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file's content; of a JSONL file, of each line.

    Args:
        name: A key of `FORMATS`.

    Raises:
        KeyError: No file has that name.
    """
    return {"$schema": _DIALECT, **TypeAdapter(FORMATS[name]).json_schema(by_alias=True, mode="serialization")}
