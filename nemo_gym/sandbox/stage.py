"""Last code of ours before the program: take the limits, become nobody, become the program.

usage: python -I -S stage.py ORDERS, where ORDERS is JSON:
  command   list of str
  inputs    folder whose files are copied into the current one
  rlimits   mapping of a RLIMIT_ name to [soft, hard]
  user      uid and gid to become, or null
  shared_processes   added to RLIMIT_NPROC are the tasks that this user runs already

Standard library only, and little of it: this runs inside the sandbox, by whatever Python is visible there. Descriptor 3
goes to the supervisor: "+" just before the program takes over, else what went wrong.
"""

import json
import os
import resource
import signal
import sys
from typing import Any

STATUS_FD = 3
# While other processes of the same user come and go, the count taken here must not starve the program.
SHARED_HEADROOM = 256


def main() -> None:
    """Do what the orders say; returns only if that failed."""
    orders = json.loads(sys.argv[1])
    try:
        _prepare(orders)
        os.write(STATUS_FD, b"+")
        os.execvp(orders["command"][0], orders["command"])
    except (OSError, ValueError) as error:
        os.write(STATUS_FD, f"{orders['command'][0]}: {error}".encode(errors="replace"))
    os._exit(127)


def _prepare(orders: dict[str, Any]) -> None:
    os.set_inheritable(STATUS_FD, False)
    os.closerange(STATUS_FD + 1, os.sysconf("SC_OPEN_MAX"))
    _first_choice_when_memory_runs_out()
    limits = dict(orders["rlimits"])
    if orders["shared_processes"]:
        limits["RLIMIT_NPROC"] = [_tasks_of_this_user() + SHARED_HEADROOM + limits["RLIMIT_NPROC"][0]] * 2
    if orders["user"] is not None:
        _become(orders["user"])
    _copy(orders["inputs"], ".")
    # Python ignores these two, and what is ignored stays ignored in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    for name, limit in limits.items():
        _lower(getattr(resource, name), limit)


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _lower(limit: int, wanted: list[int]) -> None:
    hard = resource.getrlimit(limit)[1]
    soft, new_hard = (value if hard == resource.RLIM_INFINITY else min(value, hard) for value in wanted)
    resource.setrlimit(limit, (soft, new_hard))


def _copy(source: str, target: str) -> None:
    for entry in os.scandir(source):
        path = os.path.join(target, entry.name)
        if entry.is_dir():
            os.mkdir(path)
            _copy(entry.path, path)
        else:
            with open(entry.path, "rb") as given, open(path, "wb") as copied:
                copied.write(given.read())
            os.chmod(path, 0o755)


def _first_choice_when_memory_runs_out() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:
        pass  # only a preference


def _tasks_of_this_user() -> int:
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue  # ended meanwhile
    return count


if __name__ == "__main__":
    main()
