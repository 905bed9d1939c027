"""The bubblewrap command that gives a program namespaces of its own, and whether it works on this machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from nemo_gym.sandbox import entrypoint
from nemo_gym.sandbox.allocation import unused_user_id
from nemo_gym.sandbox.filesystem import FilesystemView, base_python, filesystem_view
from nemo_gym.sandbox.interface import SandboxError, SandboxLimits
from nemo_gym.sandbox.seccomp import filter_program

SCRATCH = "/tmp"
INPUTS = "/run/inputs"
ENTRYPOINT = "/run/entrypoint.py"
# bwrap outside and bwrap as the first process inside.
OWN_PROCESSES = 2
INSTALL = "install bubblewrap 0.8 or newer (apt-get install bubblewrap, dnf install bubblewrap)"

_PROBE_TIMEOUT_S = 20.0
_PROBING = threading.Lock()
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_LINKER = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
_UNSHARE = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
# Root makes the namespaces as root and the entrypoint then becomes an unused user: for a program that stays root, even
# mapped to another id, the kernel would not count processes. Others need a user namespace.
_AS_ROOT = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_AS_OTHER = ("--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534")


def bubblewrap_argv(view: FilesystemView, limits: SandboxLimits, inputs: str | os.PathLike[str]) -> list[str]:
    """Return the command up to the entrypoint, whose spec follows.

    Raises:
        SandboxError: bwrap is not installed.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxError("bubblewrap (bwrap) is not installed")
    argv = [bwrap, *_UNSHARE, *(_AS_ROOT if os.geteuid() == 0 else _AS_OTHER)]
    argv += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--chdir", SCRATCH]
    argv += ["--perms", "0755", "--dir", "/etc"]
    for path in (*_SYSTEM, *_LINKER):
        argv += ["--ro-bind-try", path, path]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    for path in (SCRATCH, "/dev/shm"):
        argv += ["--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", path]
    for folder in view.folders:
        argv += [*_open_parents(folder), "--ro-bind", folder, folder]
    for folder in view.hidden():
        argv += ["--tmpfs", folder, "--remount-ro", folder]
    for inside, outside in ((INPUTS, os.fspath(inputs)), (ENTRYPOINT, entrypoint.__file__)):
        argv += [*_open_parents(inside), "--ro-bind", outside, inside]
    # Without this the root and /dev would be writable folders in memory, beyond every limit.
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--"]
    return [*argv, base_python(), "-I", "-S", ENTRYPOINT]


def why_no_namespaces(view: FilesystemView | None = None) -> str | None:
    """Return why programs can't have namespaces on this machine, in one sentence; None where they can. Blocks.

    It is tried once in a process with an empty program, and remembered.

    Raises:
        SandboxError: The machine is too busy to tell.
    """
    if not sys.platform.startswith("linux"):
        return f"this is {sys.platform}, and they are Linux's"
    with _PROBING:
        return _probe(shutil.which("bwrap"), view or filesystem_view())


@cache
def _probe(bwrap: str | None, view: FilesystemView) -> str | None:
    try:
        with tempfile.TemporaryDirectory() as inputs, unused_user_id() as user:
            os.chmod(inputs, 0o755)
            argv = [*bubblewrap_argv(view, SandboxLimits(), inputs), _probe_spec(view.python, user)]
            tried = subprocess.run(
                argv, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_TIMEOUT_S
            )
    except SandboxError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        # Not "unavailable": an overloaded machine must not quietly lower the level. What is raised isn't remembered.
        raise SandboxError(f"bwrap did not start an empty program within {_PROBE_TIMEOUT_S:g} s") from None
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {tried.returncode}"]
    if said[0].startswith("+"):
        return f"{view.python} does not run in them as another user ({said[-1].lstrip('+')})"
    return f"bubblewrap is installed, but fails here ({said[0]})"


def _probe_spec(python: str, user: int | None) -> str:
    spec = entrypoint.EntrypointSpec(
        command=[python, "-I", "-S", "-c", ""],
        inputs=INPUTS,
        rlimits={},
        user=user,
        adds_own_tasks=False,
        seccomp=filter_program().hex(),
        status_fd=2,
    )
    return json.dumps(spec._asdict())


def _open_parents(path: str) -> Sequence[str]:
    # bwrap would make them as closed as on the host, where they may be someone's home.
    parents = [str(parent) for parent in reversed(Path(path).parents) if str(parent) not in ("/", SCRATCH)]
    return [word for parent in parents for word in ("--perms", "0755", "--dir", parent)]
