"""Our last code before the program: take the limits, become the program's user, execute the program.

usage: python -I -S entrypoint.py SPEC, where SPEC is an `EntrypointSpec` as JSON.

Standard library only, and little of it: this runs inside the sandbox. Whatever it needs is imported before it becomes
the program's user, who may not be able to read the folder of this Python.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from typing import NamedTuple

# While other processes of the same user come and go, the count taken here must not starve the program.
SHARED_HEADROOM = 256
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_INSTRUCTION_BYTES = 8


class EntrypointSpec(NamedTuple):
    """What to run, and how.

    Attributes:
        command: Program and arguments; a bare name is looked for in PATH.
        inputs: Folder whose files are copied into the current one.
        rlimits: Soft and hard value by RLIMIT_ name.
        user: uid and gid to become; None stays.
        adds_own_tasks: Whether RLIMIT_NPROC comes on top of the tasks that this user runs already.
        seccomp: The system call filter, hexadecimal.
        status_fd: Where "+" is written just before the program takes over, or what went wrong. All descriptors above
            are closed.
    """

    command: list[str]
    inputs: str
    rlimits: dict[str, list[int]]
    user: int | None
    adds_own_tasks: bool
    seccomp: str
    status_fd: int


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def main() -> None:
    """Do what the spec says; returns only if that failed."""
    spec = EntrypointSpec(**json.loads(sys.argv[1]))
    try:
        _prepare(spec)
        os.write(spec.status_fd, b"+")
        _execute(spec.command)
    except Exception as error:  # whatever it was, it must not pass for the program's own end
        os.write(spec.status_fd, f"{spec.command[0]}: {error}".encode(errors="replace"))
    os._exit(127)


def _prepare(spec: EntrypointSpec) -> None:
    os.set_inheritable(spec.status_fd, spec.status_fd <= 2)
    os.closerange(spec.status_fd + 1, os.sysconf("SC_OPEN_MAX"))
    _first_choice_when_memory_runs_out()
    limits = dict(spec.rlimits)
    if spec.adds_own_tasks:
        limits["RLIMIT_NPROC"] = [_tasks_of_this_user() + SHARED_HEADROOM + limits["RLIMIT_NPROC"][0]] * 2
    _filter_system_calls(bytes.fromhex(spec.seccomp))
    if spec.user is not None:
        _become(spec.user)
    _copy(spec.inputs, ".")
    # Python ignores these two, and what is ignored stays ignored in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    for name, limit in limits.items():
        _lower(getattr(resource, name), limit)


def _execute(command: list[str]) -> None:
    # os.execvp imports a module when it searches PATH (Python 3.13), which this user may not be able to read.
    name = command[0]
    failure: OSError = FileNotFoundError(2, os.strerror(2))
    for folder in [""] if "/" in name else os.environ["PATH"].split(":"):
        try:
            os.execv(os.path.join(folder, name), command)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failure = error
    raise failure


def _filter_system_calls(program: bytes) -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    wanted = _FilterProgram(len(program) // _INSTRUCTION_BYTES, program)
    # The kernel wants the first before the second from everyone but root.
    calls = ((_PR_SET_NO_NEW_PRIVS, 1, 0), (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(wanted)))
    if any(prctl(*arguments, 0, 0) != 0 for arguments in calls):
        reason = os.strerror(ctypes.get_errno())
        raise OSError(f"this kernel does not take the system call filter (CONFIG_SECCOMP_FILTER): {reason}")


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
