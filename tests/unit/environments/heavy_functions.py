"""Functions for the tests of heavy work; its processes import this file."""

import os
import signal
import time

from tests.bounds import NEVER_S


def double(number: int) -> int:
    print("not a result")
    return 2 * number


def fail(text: str) -> None:
    raise ValueError(text)


def spin() -> None:
    while True:
        pass


def sleep(note: str) -> None:
    """Write down who does this, then do nothing."""
    with open(note, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(NEVER_S)


def process() -> int:
    return os.getpid()


def eat_memory() -> int:
    return len(bytearray(1 << 40))


def crash() -> None:
    os.abort()


def backtrack() -> bool:
    """Stay in C code, where no Python signal handler runs."""
    import re

    return re.match("(a+)+$", "a" * 60 + "b") is not None


def lose_parent() -> None:
    """End as if the machine did: with the process that started this one."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(NEVER_S)


def missing_package() -> None:
    import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def missing_file() -> str:
    with open("/no/such/file") as file:
        return file.read()


def no_json() -> object:
    return object()


def time_out() -> None:
    raise TimeoutError("it gave up")


def sleep_the_first_time(note: str) -> int:
    if os.path.exists(note):
        return os.getpid()
    sleep(note)
    return 0
