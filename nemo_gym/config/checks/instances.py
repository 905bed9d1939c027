"""Server instances, typed and checked one by one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_gym.config.addresses import is_every_interface, reachable_host
from nemo_gym.config.checks.access import bind_host_of
from nemo_gym.config.checks.blocks import Block
from nemo_gym.config.checks.references import Reference, references
from nemo_gym.config.checks.validation import validated
from nemo_gym.config.errors import Mistake, did_you_mean
from nemo_gym.config.keys import AGENTS_KIND, ENTRYPOINT_KEY_NAME, RESOURCES_KIND
from nemo_gym.config.paths import candidate_paths, find_component, implementations
from nemo_gym.config.placement import Placement
from nemo_gym.config.reading.default_agents import has_default_agent_alone
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import KeyPath, MergedConfig
from nemo_gym.config.schema import DatasetConfig, InstanceSettings, ResourcesInstanceSettings, RunSettings


@dataclass(frozen=True)
class ServerInstance:
    """One server of the run, ready to be started.

    Attributes:
        name: Unique in the run.
        kind: responses_api_models, resources_servers or responses_api_agents.
        implementation: Name of the component's folder.
        directory: That folder, absolute.
        entrypoint: The script in it, absolute.
        host: Address or name that others call.
        bind_host: Address or name to listen on.
        port: None: the launcher takes a free one.
        num_workers: Processes that share the work, at least 1.
        ray_enabled: Uses Ray.
        placement: Where on the cluster its processes are put; None: they stay on this machine.
        settings: The innermost block as plain values, resolved.
        references: The servers it calls.
        datasets: Its task files, those that are described without mistakes: of an agent, or of an environment that has
            its default agent alone.
        domain: What the tasks are about; None unless this is a resources server.
    """

    name: str
    kind: str
    implementation: str
    directory: Path
    entrypoint: Path
    host: str
    bind_host: str
    port: int | None
    num_workers: int
    ray_enabled: bool
    placement: Placement | None
    settings: dict[str, Any] = field(repr=False)  # may hold secrets
    references: tuple[Reference, ...]
    datasets: tuple[DatasetConfig, ...]
    domain: str | None


def check_settings(
    block: Block, left_out: set[KeyPath], merged: MergedConfig
) -> tuple[InstanceSettings | None, list[Finding]]:
    """Return the settings that all servers share, typed, or None with what is wrong with them.

    Entries of `datasets` with mistakes are dropped and reported beside the settings; so are those of servers that
    are neither agents nor environments that have their default agent alone.
    """
    model = ResourcesInstanceSettings if block.kind == RESOURCES_KIND else InstanceSettings
    datasets, findings = _check_datasets(block, left_out, merged)
    settings, others = validated(model, {**block.settings, "datasets": datasets}, block.path, left_out, merged.where)
    return settings, findings + others


def _check_datasets(
    block: Block, left_out: set[KeyPath], merged: MergedConfig
) -> tuple[list[DatasetConfig], list[Finding]]:
    path, entries = (*block.path, "datasets"), block.settings.get("datasets")
    if not isinstance(entries, list | None):
        what = f"datasets of server '{block.name}' isn't a list"
        return [], [Finding(Mistake(what, merged.where(*path), fix="write [{name: ..., type: ..., ...}]"), (path,))]
    if entries and not _may_have_datasets(block, merged):
        what = f"datasets of '{block.name}', which is one of the {block.kind}, aren't read"
        fix = "write datasets below the agent that is to run them: each row names it"
        return [], [Finding(Mistake(what, merged.where(*path), fix=fix), (path,))]
    checked = [
        validated(DatasetConfig, entry, (*path, index), left_out, merged.where)
        for index, entry in enumerate(entries or [])
    ]
    return [dataset for dataset, _ in checked if dataset], [finding for _, found in checked for finding in found]


def _may_have_datasets(block: Block, merged: MergedConfig) -> bool:
    is_alone = block.kind == RESOURCES_KIND and has_default_agent_alone(block.name, merged)
    return block.kind == AGENTS_KIND or is_alone


def find_folder(block: Block, merged: MergedConfig) -> tuple[Path | None, list[Finding]]:
    """Return the component's folder, or None with what is wrong: the folder or its entrypoint doesn't exist."""
    entrypoint = block.settings.get(ENTRYPOINT_KEY_NAME)
    if not isinstance(entrypoint, str):
        return None, []  # reported with the settings
    folder = find_component(block.kind, block.implementation, entrypoint, beside=merged.folder_of(*block.path))
    if folder is None:
        return None, [Finding(_no_folder(block, merged), (block.path,))]
    if not os.path.isfile(folder / entrypoint):
        where = merged.where(*block.path, ENTRYPOINT_KEY_NAME)
        known = sorted(file.name for file in folder.glob("*.py"))
        fix = did_you_mean(entrypoint, known) or f"entrypoint is a script in {folder}"
        return None, [Finding(Mistake(f"no file '{entrypoint}' in {folder}", where, known, fix), (block.path,))]
    return folder.resolve(), []


def make_instance(block: Block, settings: InstanceSettings, folder: Path, run: RunSettings) -> ServerInstance:
    """Join a block that passed all checks with its typed settings and its component's folder."""
    return ServerInstance(
        name=block.name,
        kind=block.kind,
        implementation=block.implementation,
        directory=folder,
        entrypoint=folder / settings.entrypoint,
        host=reachable_host(settings.host or run.default_host),
        bind_host=bind_host_of(settings, run),
        port=settings.port,
        num_workers=settings.num_workers,
        ray_enabled=settings.ray_enabled,
        placement=settings.placement,
        settings=block.settings,
        references=references(block),
        datasets=tuple(settings.datasets),
        domain=settings.domain.value if settings.domain else None,
    )


def check_ports(blocks: Sequence[Block], run: RunSettings, merged: MergedConfig) -> list[Finding]:
    """Return the servers that want a port which an earlier server, or the head, listens on."""
    taken = [(run.head_bind_host, run.head_server.port, "the head (head_server.port)")]
    findings = []
    for block in blocks:
        # As written, not as typed, so that the port of a server with another mistake is compared too.
        host, port = _bind_host_as_written(block, run), _as_port(block.settings.get("port"))
        if port is None:
            continue
        holder = next((who for other, its_port, who in taken if port == its_port and _overlap(host, other)), None)
        if holder:
            what = f"port {port} of server '{block.name}' is also that of {holder}"
            path = (*block.path, "port")
            findings.append(Finding(Mistake(what, merged.where(*path), fix="leave port out for a free one"), (path,)))
        taken.append((host, port, f"server '{block.name}'"))
    return findings


def _bind_host_as_written(block: Block, run: RunSettings) -> str:
    written = block.settings
    return str(written.get("bind_host") or run.default_bind_host or written.get("host") or run.default_host)


def _as_port(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() else None


def _overlap(host: str, other: str) -> bool:
    return host == other or is_every_interface(host) or is_every_interface(other)


def _no_folder(block: Block, merged: MergedConfig) -> Mistake:
    beside = merged.folder_of(*block.path)
    known = implementations(block.kind, beside=beside)
    places = candidate_paths(Path(block.kind) / block.implementation, beside=beside)
    tried = ", ".join(map(str, places))
    fix = did_you_mean(block.implementation, known) or "make the folder in one of the places tried, or fix its name"
    what = f"no component folder '{block.kind}/{block.implementation}' (tried {tried})"
    return Mistake(what, merged.where(*block.path), known, fix)
