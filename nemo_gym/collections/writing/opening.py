"""Opening the files of a collection: nothing is written, cut or moved before all that is there is known to belong."""

from collections.abc import Iterator
from contextlib import contextmanager

from nemo_gym.collections.files import OutputPaths, make_folder, write_json
from nemo_gym.collections.manifest import Manifest
from nemo_gym.collections.writing.claim import check_may_be_moved, manifest_to_write
from nemo_gym.collections.writing.writer import Output
from nemo_gym.config.errors import ConfigError


@contextmanager
def open_output(
    paths: OutputPaths, manifest: Manifest, notes: list[str], *, overwrite: bool, accept_changed_code: bool
) -> Iterator[Output]:
    """Give the open files of the collection that `manifest` describes; close them at the end.

    Args:
        notes: What was moved aside or cut off is appended here, for a person.
        overwrite: Move the files of another collection aside.
        accept_changed_code: Continue a collection although the code of its servers has changed.

    Raises:
        ConfigError: The files belong to another collection, or aren't ours, or another collector writes them.
        OutputError: They can't be written.
    """
    make_folder(paths.rollouts.parent)
    if overwrite:
        notes += _moved_aside(paths)
    manifest_to_write(paths, manifest, accepts_changed_code=accept_changed_code)
    output = Output(paths)
    try:
        # Again, now that nobody else can write here.
        to_write = manifest_to_write(paths, manifest, accepts_changed_code=accept_changed_code)
        if to_write is not None:
            write_json(paths.manifest, to_write.model_dump())
        notes += [f"cut off a truncated last line: {path}" for path in output.drop_truncated_lines()]
        yield output
    finally:
        if not output.is_closed:
            output.close()


def _moved_aside(paths: OutputPaths) -> list[str]:
    check_may_be_moved(paths)
    output = Output(paths)
    try:
        check_may_be_moved(paths)
    except ConfigError:
        output.close()
        raise
    return [f"moved aside: {path}" for path in output.move_aside()]
