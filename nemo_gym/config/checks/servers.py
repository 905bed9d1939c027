"""Check all server instances; those that don't pass are the almost-servers."""

from dataclasses import dataclass, field
from pathlib import Path

from nemo_gym.config.checks.blocks import Block, looks_like_server, read_block
from nemo_gym.config.checks.instances import check_ports, check_settings, find_folder
from nemo_gym.config.checks.references import check_references
from nemo_gym.config.checks.unknown_keys import check_shared_keys
from nemo_gym.config.reading.interpolation import Finding, Resolved
from nemo_gym.config.reading.merged import KeyPath, MergedConfig
from nemo_gym.config.schema import InstanceSettings, RunSettings

_BLOCK_DEPTH = 3  # instance, kind, implementation
_DATASETS_KEY = "datasets"


@dataclass(frozen=True)
class CheckedServer:
    """A server without mistakes. `folder` is its component's; None where it wasn't looked for."""

    block: Block
    settings: InstanceSettings
    folder: Path | None


@dataclass
class CheckedServers:
    """The servers of a configuration.

    Attributes:
        passed: Those without mistakes.
        kinds: Kind of every instance by name; None where the block is too broken to tell.
        findings: What is wrong with the others.
        about_datasets: What is wrong with entries of `datasets`. No server reads them, so none is refused for it.
    """

    passed: list[CheckedServer] = field(default_factory=list)
    about_datasets: list[Finding] = field(default_factory=list)
    kinds: dict[str, str | None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def almost(self) -> set[str]:
        """Names of the almost-servers."""
        return {str(path[0]) for finding in self.findings for path in finding.paths}

    def add(self, findings: list[Finding]) -> None:
        """Take what was found in servers."""
        for finding in findings:
            (self.about_datasets if _is_about_datasets(finding) else self.findings).append(finding)


def inside_servers(finding: Finding, merged: MergedConfig) -> bool:
    """Tell whether a finding concerns nothing but servers."""
    names = {str(path[0]) for path in finding.paths}
    return all(looks_like_server(name, merged.values.get(name)) for name in names)


def check_servers(
    resolved: Resolved, already_found: list[Finding], merged: MergedConfig, run: RunSettings, *, locate: bool
) -> CheckedServers:
    """Check shape, settings, component, ports and references of every instance.

    Args:
        resolved: The values.
        already_found: What is wrong inside servers as far as it is known, e.g. values that can't be resolved.
        merged: Says where a key was set.
        run: The run-wide settings.
        locate: Also look for the components' folders.
    """
    checked = CheckedServers()
    checked.add(already_found)
    blocks = _read_blocks(resolved, merged, checked)
    for block in blocks:
        settings, findings = check_settings(block, resolved.left_out, merged)
        checked.add(findings)
        folder = None
        if locate:
            folder, findings = find_folder(block, merged)
            checked.add(findings + (check_shared_keys(block, folder, merged) if folder else []))
        if settings:
            checked.passed.append(CheckedServer(block, settings, folder))
    checked.findings += check_ports(blocks, run, merged)
    if run.error_on_almost_servers:
        checked.findings += check_references(blocks, checked.kinds, merged)
    else:
        _drop_dependents(blocks, merged, checked)
    checked.passed = [server for server in checked.passed if server.block.name not in checked.almost]
    return checked


def _is_about_datasets(finding: Finding) -> bool:
    return all(path[_BLOCK_DEPTH : _BLOCK_DEPTH + 1] == (_DATASETS_KEY,) for path in finding.paths)


def _read_blocks(resolved: Resolved, merged: MergedConfig, checked: CheckedServers) -> list[Block]:
    blocks = []
    for name, value in resolved.values.items():
        if not looks_like_server(name, value):
            continue
        block = read_block(name, value, merged)
        checked.kinds[name] = block.kind if isinstance(block, Block) else None
        if isinstance(block, Block):
            blocks.append(block)
        elif not _has_left_out(name, resolved.left_out):
            checked.findings.append(block)
    return blocks


def _has_left_out(name: str, left_out: set[KeyPath]) -> bool:
    """Whether a part of the block's shape itself was an unresolved value, which is reported already."""
    return any(path[0] == name and len(path) <= _BLOCK_DEPTH for path in left_out)


def _drop_dependents(blocks: list[Block], merged: MergedConfig, checked: CheckedServers) -> None:
    """Without an almost-server, the servers that refer to it can't run either, and so on."""
    while True:
        almost = checked.almost
        kinds = {name: kind for name, kind in checked.kinds.items() if name not in almost}
        findings = check_references([block for block in blocks if block.name in kinds], kinds, merged)
        if not findings:
            return
        checked.findings += findings
