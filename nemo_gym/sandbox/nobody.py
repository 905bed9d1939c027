"""A user id that nobody else has, for one program at a time.

Under root a limit on processes binds only for another user, and only a user without other processes can be counted
exactly. As that user the program reads no file that root keeps for itself.
"""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from nemo_gym.sandbox.result import SandboxError

# Free of any meaning on Linux (systemd's table of user ids); the second, systemd's dynamic users, where a container
# maps only 65,536 ids.
_RANGES = (range(0x70000000, 0x7FFFFFFF), range(61184, 65520))
_TRIES = 200


@contextmanager
def claimed_user() -> Iterator[int | None]:
    """Hold an unused uid while the `with` block runs; None where this process is not root and so keeps its own.

    Raises:
        SandboxError: Root, but no spare uid is mapped into this container.
    """
    if os.geteuid() != 0:
        yield None
        return
    candidates = _mapped_range()
    with socket.socket(socket.AF_UNIX) as claim:
        for _ in range(_TRIES):
            user = random.choice(candidates)
            try:
                # An abstract name is given once on a machine, and back when its holder dies, however it dies.
                claim.bind(f"\0nemo-gym-sandbox-user-{user}")
            except OSError:
                continue
            yield user
            return
    raise SandboxError("no free user id for a sandboxed program; too many run at the same time")


def _mapped_range() -> range:
    with open("/proc/self/uid_map") as lines:
        mapped = [range(int(inside), int(inside) + int(count)) for inside, _, count in map(str.split, lines)]
    for candidates in _RANGES:
        if any(candidates[0] in part and candidates[-1] in part for part in mapped):
            return candidates
    raise SandboxError("this process is root, and its container has no spare user id to run a program as")
