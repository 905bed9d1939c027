"""A collection that is read as a whole: checked before anything is made of it."""

from pathlib import Path

from nemo_gym.collections.files import what_it_is
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.config.errors import ConfigError, Mistake


def check_rollout_file(rollouts: Path, where: str = "input_jsonl_fpath") -> None:
    """Raise ConfigError for a rollout file that isn't there or isn't a regular file; `where`: its parameter."""
    kind = what_it_is(rollouts)
    if kind != "a regular file":
        what = f"{rollouts} is {kind}" + ("" if kind == "missing" else ", not a regular file")
        raise ConfigError(Mistake(what, where=where, fix="name the rollout file of a collection"))


def open_collection(rollouts: Path, where: str = "input_jsonl_fpath") -> CollectionReader:
    """Return a reader whose index holds every rollout.

    Args:
        rollouts: The rollout file.
        where: The parameter that names it, for errors.

    Raises:
        ConfigError: It isn't there, isn't a regular file, or has lines that aren't rollouts.
    """
    check_rollout_file(rollouts, where)
    reader = CollectionReader(rollouts)
    try:
        reader.index.refresh()
    except OSError as error:
        raise ConfigError(Mistake(f"cannot read {rollouts}: {error.strerror}", where=where)) from error
    if damaged := reader.index.damaged:
        what = f"{len(damaged)} lines of {rollouts} aren't rollouts, the first at byte {damaged[0]}"
        fix = "name the rollout file of a collection, or remove these lines from it"
        raise ConfigError(Mistake(what, where=where, fix=fix))
    return reader
