"""The bubblewrap command that gives a program namespaces of its own, and whether it works on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nemo_gym.sandbox.limits import SandboxLimits
from nemo_gym.sandbox.result import SandboxError
from nemo_gym.sandbox.view import View, view_of

SCRATCH = "/tmp"
INPUTS = "/run/inputs"
STAGE = "/run/stage.py"
# bwrap outside and bwrap as the first process inside.
OWN_PROCESSES = 2
INSTALL = "install bubblewrap 0.8 or newer (apt-get install bubblewrap, dnf install bubblewrap)"

_PROBE_TIMEOUT_S = 20.0
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_LINKER = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
_UNSHARE = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
# Root makes the namespaces as root and the stage then becomes an unused user: for a program that stays root, even
# mapped to another id, the kernel would not count processes. Others need a user namespace; the program gets no further
# one.
_AS_ROOT = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_AS_OTHER = ("--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534")


def bubblewrap_argv(view: View, limits: SandboxLimits, inputs: Path, stage: Path) -> list[str]:
    """Return the command up to and with the `--`; the program's own command follows.

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
    for inside, outside in ((INPUTS, inputs), (STAGE, stage)):
        argv += [*_open_parents(inside), "--ro-bind", str(outside), inside]
    # Without this the root and /dev would be writable folders in memory, beyond every limit.
    return [*argv, "--remount-ro", "/dev", "--remount-ro", "/", "--"]


def why_no_namespaces() -> str | None:
    """Return why programs can't have namespaces on this machine, in one sentence; None where they can. Blocks.

    Raises:
        SandboxError: The machine is too busy to tell.
    """
    if not sys.platform.startswith("linux"):
        return f"this is {sys.platform}, and they are Linux's"
    return why_not(view_of(None, []), SandboxLimits(), Path(__file__))


def why_not(view: View, limits: SandboxLimits, stage: Path) -> str | None:
    """Try it with an empty program: None when namespaces work here, else the reason in one sentence. Blocks."""
    try:
        argv = bubblewrap_argv(view, limits, stage, stage)
        tried = subprocess.run(
            [*argv, view.python, "-I", "-S", "-c", ""],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
        )
    except SandboxError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        # Not "unavailable": an overloaded machine must not quietly lower the level.
        raise SandboxError(f"bwrap did not start an empty program within {_PROBE_TIMEOUT_S:g} s") from None
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {tried.returncode}"]
    return f"bubblewrap is installed, but fails here ({said[0]})"


def _open_parents(path: str) -> Sequence[str]:
    # bwrap would make them as closed as on the host, where they may be someone's home.
    parents = [str(parent) for parent in reversed(Path(path).parents) if str(parent) not in ("/", SCRATCH)]
    return [word for parent in parents for word in ("--perms", "0755", "--dir", parent)]
