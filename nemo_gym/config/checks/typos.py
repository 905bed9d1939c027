"""Command-line keys that nothing reads and that are nearly the name of a known one."""

from collections.abc import Collection, Sequence
from typing import Any

from nemo_gym.config.errors import Mistake, closest
from nemo_gym.config.keys import ENTRYPOINT_KEY_NAME, HEAD_SERVER_KEY_NAME, WELL_KNOWN_KEYS
from nemo_gym.config.reading.interpolation import Finding, interpolated_names
from nemo_gym.config.reading.merged import COMMAND_LINE, Source

# High, since any other key is a plain value that a server may read.
_CUTOFF = 0.8
_HEAD_KEYS = ("host", "port", "bind_host")


def find_typos(sources: Sequence[Source], own_keys: Collection[str]) -> list[Finding]:
    """Return the misspelt keys of the command line, and of `head_server` in any source.

    Args:
        sources: All sources; a key that another source sets, or that an interpolation uses, is known.
        own_keys: Option names of the calling command.
    """
    below = {str(key) for source in sources if source.name != COMMAND_LINE for key in source.values}
    used = {name for source in sources for name in interpolated_names(source.values)}
    known = {*WELL_KNOWN_KEYS, *own_keys, *below}
    findings = []
    for source in sources:
        head = source.values.get(HEAD_SERVER_KEY_NAME)
        if isinstance(head, dict):
            findings += _misspelt(source.name, (HEAD_SERVER_KEY_NAME,), set(head) - set(_HEAD_KEYS), _HEAD_KEYS)
        if source.name == COMMAND_LINE:
            keys = {key for key, value in source.values.items() if not _is_whole_server(value)}
            findings += _misspelt(source.name, (), keys - known - used, sorted(known))
    return findings


def _misspelt(source: str, above: tuple[str, ...], keys: Collection[str], known: Sequence[str]) -> list[Finding]:
    findings = []
    for key in sorted(keys):
        match = closest(key, known, cutoff=_CUTOFF)
        if match:
            where = f"{source}, key {'.'.join((*above, key))}"
            findings.append(
                Finding(Mistake(f"unknown key '{key}'", where, fix=f"did you mean '{match}'?"), ((*above, key),))
            )
    return findings


def _is_whole_server(value: Any) -> bool:
    """A new instance may be written on the command line; then it has an entrypoint."""
    if not isinstance(value, dict):
        return False
    return ENTRYPOINT_KEY_NAME in value or any(_is_whole_server(item) for item in value.values())
