"""Work in a process of its own, which is killed, or gets another signal, just before it renames or removes a file."""

import os
import signal
import sys
import traceback
from collections.abc import Callable

_CHANGES = ("os.rename", "os.remove")


def killed_at(change: int, work: Callable[[], object], number: signal.Signals = signal.SIGKILL) -> int:
    """Run `work` in a process of its own that sends itself a signal at its n-th change of a name.

    Args:
        change: Which rename or removal of a file, from 0.
        work: What the process does.
        number: SIGKILL, or another signal.

    Returns:
        The exit code of the process, minus the signal that ended it; 0: it did all its work.
    """

    def interrupted() -> None:
        sys.addaudithook(_Signal(change, number))
        work()

    return in_child(interrupted)


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a fork of this process; return its exit code: 0 for all of it, 130 after Ctrl-C, -n of signal n."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        work()
        status = 0
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class _Signal:
    """Counts renames and removals, and sends the signal before one of them."""

    def __init__(self, change: int, number: signal.Signals) -> None:
        self._left = change
        self._number = number

    def __call__(self, event: str, _arguments: tuple[object, ...]) -> None:
        if event in _CHANGES:
            if self._left == 0:
                os.kill(os.getpid(), self._number)
            self._left -= 1
