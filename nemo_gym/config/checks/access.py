"""Who may call: without a token, a run is for this machine alone, unless a setting explicitly allows the network."""

from collections.abc import Sequence

from nemo_gym.config.addresses import is_loopback
from nemo_gym.config.checks.blocks import Block
from nemo_gym.config.errors import Mistake
from nemo_gym.config.keys import ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME, HEAD_SERVER_KEY_NAME
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import KeyPath, MergedConfig
from nemo_gym.config.schema import InstanceSettings, RunSettings

FIX = (
    "remove auth=none: commands and servers of the run send its token by themselves. If anyone who can reach that "
    f"address may call the servers, add +{ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME}=true"
)


def check_access(
    run: RunSettings, servers: Sequence[tuple[Block, InstanceSettings]], merged: MergedConfig
) -> list[Finding]:
    """Return the servers, the head included, that others could call without a token."""
    if run.auth != "none" or run.allow_unauthenticated_network:
        return []
    findings = []
    if not is_loopback(run.head_bind_host):
        path: KeyPath = (HEAD_SERVER_KEY_NAME, _key_of(run.head_server.bind_host))
        findings.append(_finding("the head", run.head_bind_host, path, merged))
    for block, settings in servers:
        host = bind_host_of(settings, run)
        if not is_loopback(host):
            path = (*block.path, _key_of(settings.bind_host))
            findings.append(_finding(f"server '{block.name}'", host, path, merged))
    return findings


def bind_host_of(settings: InstanceSettings, run: RunSettings) -> str:
    """Return the address that an instance listens on."""
    return settings.bind_host or run.default_bind_host or settings.host or run.default_host


def _key_of(bind_host: str | None) -> str:
    return "host" if bind_host is None else "bind_host"


def _finding(who: str, host: str, path: KeyPath, merged: MergedConfig) -> Finding:
    what = f"auth=none, but {who} listens on {host or 'every interface'}, which other machines can reach"
    return Finding(Mistake(what, merged.where(*path), fix=FIX), (path,))
