"""The code that the servers of a collection run, which needn't be what their folders hold by now."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.collections.identity import is_server
from nemo_gym.config.code_digest import component_digest
from nemo_gym.config.keys import ENTRYPOINT_KEY_NAME, KINDS
from nemo_gym.config.paths import find_component, shown
from nemo_gym.servers.runs.record import ServerInstanceState

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class ServerCode:
    """The code of every server of a run.

    Attributes:
        digests: By instance name; None for code that the head doesn't tell of, and that isn't on this machine.
        guessed: Servers whose digest is that of their folder, since the head doesn't say what they run.
        outdated: A line to say for each server that runs code which its folder doesn't hold any more.
    """

    digests: Mapping[str, str | None]
    guessed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()

    @property
    def unseen(self) -> list[str]:
        """Servers whose code isn't known, so that a change of it goes unnoticed."""
        return [name for name, digest in self.digests.items() if digest is None]


def read_server_code(server_config: Mapping[str, Any], instances: Sequence[ServerInstanceState]) -> ServerCode:
    """Return the code of every server: what the head says that it runs, else what its folder holds.

    Args:
        server_config: Configuration of the run.
        instances: What the head says of the servers, one for each worker; empty when it doesn't.
    """
    running = _running(instances)
    blocks = {name: block for name, block in server_config.items() if is_server(block)}
    digests = {name: running.get(name) or _in_folder(block) for name, block in blocks.items()}
    guessed = [name for name, digest in digests.items() if digest is not None and name not in running]
    return ServerCode(digests, tuple(guessed), tuple(_outdated(instances)))


def _running(instances: Iterable[ServerInstanceState]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for instance in instances:
        if instance.code_digest is not None:
            found.setdefault(instance.name, set()).add(instance.code_digest)
    return {name: _joined(digests) for name, digests in found.items()}


def _joined(digests: set[str]) -> str:
    """Return one digest for all workers: one that was restarted may run newer code than the others."""
    if len(digests) == 1:
        return next(iter(digests))
    return hashlib.blake2b("".join(sorted(digests)).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _outdated(instances: Iterable[ServerInstanceState]) -> list[str]:
    known = {(i.name, Path(i.folder), i.code_digest) for i in instances if i.folder and i.code_digest}
    now = {folder: component_digest(folder) for _, folder, _ in known}
    # A folder without code that can be read is on another machine.
    found = sorted({(name, folder) for name, folder, ran in known if now[folder] not in (ran, None)})
    return [
        f"{name} runs code that is no longer what {shown(folder)} holds: restart ng_run to use it"
        for name, folder in found
    ]


def _in_folder(block: Mapping[str, Any]) -> str | None:
    kind = next(kind for kind in KINDS if kind in block)
    implementations = block[kind]
    if not isinstance(implementations, Mapping) or not implementations:
        return None
    implementation, settings = next(iter(implementations.items()))
    entrypoint = settings.get(ENTRYPOINT_KEY_NAME) if isinstance(settings, Mapping) else None
    folder = find_component(kind, str(implementation), entrypoint)
    return None if folder is None else component_digest(folder)
