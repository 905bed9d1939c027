"""How commands that talk to registries and write files end when that fails."""

import sys
from collections.abc import Callable

from nemo_gym.collections.line_file import OutputBusyError, OutputError
from nemo_gym.commands.entry import INCOMPLETE
from nemo_gym.data.registries.errors import RegistryError

_AGAIN = "the same command again goes on where this one ended"


def outcome_of(work: Callable[[], int]) -> int:
    """Return the exit status of `work`; of a registry or a disk that failed say so, without a traceback."""
    try:
        return work()
    except RegistryError as error:
        print(f"registry error: {error}\n  fix:   when the registry is well, {_AGAIN}", file=sys.stderr)
    except OutputBusyError as error:
        print(f"output error: another process is writing {error}", file=sys.stderr)
    except OutputError as error:
        print(f"output error: {error}", file=sys.stderr)
    return INCOMPLETE
