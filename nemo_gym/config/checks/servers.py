"""Check all server instances; those that do not pass are the almost-servers."""

from dataclasses import dataclass, field

from nemo_gym.config.checks.blocks import Block, looks_like_server, read_block
from nemo_gym.config.checks.instances import check_component, check_ports, check_settings
from nemo_gym.config.checks.references import check_references
from nemo_gym.config.reading.interpolation import Finding, Resolved
from nemo_gym.config.reading.merged import KeyPath, MergedConfig
from nemo_gym.config.schema import InstanceSettings, RunSettings

_BLOCK_DEPTH = 3  # instance, kind, implementation


@dataclass
class CheckedServers:
    """The servers of a configuration.

    Attributes:
        passed: Blocks without mistakes, with their typed settings.
        kinds: Kind of every instance by name; None where the block is too broken to tell.
        findings: What is wrong with the others.
    """

    passed: list[tuple[Block, InstanceSettings]] = field(default_factory=list)
    kinds: dict[str, str | None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def almost(self) -> set[str]:
        """Names of the almost-servers."""
        return {str(path[0]) for finding in self.findings for path in finding.paths}


def inside_servers(finding: Finding, merged: MergedConfig) -> bool:
    """Tell whether a finding concerns nothing but servers."""
    names = {str(path[0]) for path in finding.paths}
    return all(looks_like_server(name, merged.values.get(name)) for name in names)


def check_servers(resolved: Resolved, merged: MergedConfig, run: RunSettings, *, locate: bool) -> CheckedServers:
    """Check shape, settings, component, ports and references of every instance.

    Args:
        resolved: The values; what is unresolved inside servers counts against these.
        merged: Says where a key was set.
        run: The run-wide settings.
        locate: Also look for the components' folders.
    """
    checked = CheckedServers(findings=[finding for finding in resolved.findings if inside_servers(finding, merged)])
    blocks = _read_blocks(resolved, merged, checked)
    for block in blocks:
        settings, findings = check_settings(block, resolved.left_out, merged)
        checked.findings += findings + (check_component(block, merged) if locate else [])
        if settings:
            checked.passed.append((block, settings))
    checked.findings += check_ports(blocks, run, merged)
    if run.error_on_almost_servers:
        checked.findings += check_references(blocks, checked.kinds, merged)
    else:
        _drop_dependents(blocks, merged, checked)
    checked.passed = [(block, settings) for block, settings in checked.passed if block.name not in checked.almost]
    return checked


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
    """Without an almost-server, whoever refers to it cannot run either, and so on."""
    while True:
        almost = checked.almost
        kinds = {name: kind for name, kind in checked.kinds.items() if name not in almost}
        findings = check_references([block for block in blocks if block.name in kinds], kinds, merged)
        if not findings:
            return
        checked.findings += findings
