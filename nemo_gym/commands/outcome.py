"""How commands that write files, or talk to registries, end when that fails or is interrupted."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from nemo_gym.collections.line_file import OutputBusyError, OutputError
from nemo_gym.commands.entry import INCOMPLETE
from nemo_gym.data.registries.errors import RegistryError

_AGAIN = "the same command again goes on where this one ended"


def outcome_of(work: Callable[[], int]) -> int:
    """Return the exit status of `work`; of a registry or a disk that failed say so, without a traceback.

    SIGTERM ends it as Ctrl-C does, so that drafts are removed.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return work()
    except RegistryError as error:
        print(f"registry error: {error}\n  fix:   when the registry is well, {_AGAIN}", file=sys.stderr)
    except OutputBusyError as error:
        print(f"output error: another process is writing {error}", file=sys.stderr)
    except OutputError as error:
        print(f"output error: {error}", file=sys.stderr)
    return INCOMPLETE


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
