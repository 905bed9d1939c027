"""The manifest of an export: from what it was made, how, and what was left out. The same export has the same one."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from nemo_gym.collections.manifest import Manifest
from nemo_gym.training.group import Tally
from nemo_gym.training.license import LicenseNote
from nemo_gym.training.options import ExportOptions, FormatName

SCHEMA_VERSION: Literal[1] = 1


class StatedLicense(BaseModel):
    """The license of the task data."""

    stated: dict[str, str] = Field(description='By data set; "": said by the person who exported.')
    conditions: list[str] = Field(description="What its name asks for.")
    accepted_in_spite_of: list[str] = Field(description="What its name seems to forbid, and was exported all the same.")


class Source(BaseModel):
    """The collection behind an export; what a rollout file alone doesn't tell is null."""

    name: str = Field(description="Of the rollout file.")
    size_bytes: int
    num_tasks: int | None
    tasks_digest: str | None
    agent_name: str | None


class ExportManifest(BaseModel):
    """The content of `<name>.manifest.json` beside an export. Without times and paths: it can be compared."""

    schema_version: Literal[1] = SCHEMA_VERSION
    format: FormatName
    options: dict[str, Any]
    source: Source
    model: str | None
    license: StatedLicense
    rows: int
    rollouts: int = Field(description="In the file: used + left out.")
    used: int
    left_out: dict[str, int] = Field(description="By reason.")
    left_out_examples: dict[str, str] = Field(description="The first of each reason.")
    failed: int = Field(description="Repeats that have a failure and no rollout, which are never exported.")
    with_tool_results: int = Field(
        description="preference and kto: completions with tool results, which TRL's trainers count in the loss unless "
        "they get a `PolicyTokensCollator`."
    )
    tasks: int = Field(description="With at least one rollout in the file.")
    sha256: str = Field(description="Of the exported file.")
    versions: dict[str, str]


def manifest_path(output: Path) -> Path:
    """Return where the manifest of an export is."""
    return output.with_name(f"{output.name}.manifest.json")


def source_of(rollouts: Path, size_bytes: int, manifest: Manifest | None) -> Source:
    """Return what is known of a collection."""
    return Source(
        name=rollouts.name,
        size_bytes=size_bytes,
        num_tasks=None if manifest is None else manifest.num_tasks,
        tasks_digest=None if manifest is None else manifest.tasks_digest,
        agent_name=None if manifest is None else manifest.settings.get("agent_name"),
    )


def export_manifest(
    options: ExportOptions,
    tally: Tally,
    note: LicenseNote,
    *,
    source: Source,
    model: str | None,
    rows: int,
    failed: int,
    sha256: str,
) -> ExportManifest:
    """Return the manifest of an export that was written."""
    packages = ["nemo-gym", *(["pyarrow"] if options.output_fpath.suffix == ".parquet" else [])]
    return ExportManifest(
        format=options.format,
        options=options.shaping(),
        source=source,
        model=model,
        license=StatedLicense(stated=note.stated, conditions=note.conditions, accepted_in_spite_of=note.forbids),
        rows=rows,
        rollouts=tally.read,
        used=tally.used,
        left_out=dict(sorted(tally.left_out.items())),
        left_out_examples=dict(sorted(tally.examples.items())),
        failed=failed,
        with_tool_results=tally.with_tool_results,
        tasks=tally.tasks,
        sha256=sha256,
        versions={name: version(name) for name in packages},
    )
