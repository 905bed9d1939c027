"""What one run holds on the host while it lasts: a scratch folder, a user id that nobody else has, a memory cgroup."""

import contextlib
import os
import random
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from nemo_gym.sandbox.interface import SandboxError

# Free of any meaning on Linux (systemd's table of user ids); the second, systemd's dynamic users, where a container
# maps only 65,536 ids.
_UNUSED_USER_IDS = (range(0x70000000, 0x7FFFFFFF), range(61184, 65520))
_USER_ID_TRIES = 200
_LONGEST_NAME_BYTES = 255
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Scratch:
    """The folder of one run; `inputs` and `work` lie inside `root`, which only its owner can enter."""

    root: Path

    @property
    def inputs(self) -> Path:
        """What the caller gave; the entrypoint copies it to where the program works."""
        return self.root / "inputs"

    @property
    def work(self) -> Path:
        """The program's working folder at level `rlimits`."""
        return self.root / "work"


def new_scratch() -> Scratch:
    """Make an empty scratch folder, mode 0700, in the system's temporary folder."""
    scratch = Scratch(Path(tempfile.mkdtemp(prefix="nemo-gym-sandbox-")))
    for folder in (scratch.inputs, scratch.work):
        folder.mkdir()
        folder.chmod(0o755)
    return scratch


def write_inputs(scratch: Scratch, files: Mapping[PurePosixPath, bytes]) -> None:
    """Write what `checked_files` returned."""
    for name, content in files.items():
        path = scratch.inputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path in scratch.inputs.rglob("*"):
        # The program runs as another user where it can, whatever umask this process has.
        path.chmod(0o755)


def checked_files(files: Mapping[str, bytes | str]) -> dict[PurePosixPath, bytes]:
    """Return the content by path, text as UTF-8.

    Raises:
        ValueError: A name is empty, absolute, leads out of the folder or can't be a file's; two names are the same
            file; or one is a folder of another.
        TypeError: A name isn't text, or a content neither text nor bytes.
    """
    checked: dict[PurePosixPath, bytes] = {}
    for name, content in files.items():
        path = _checked_name(name)
        if path in checked:
            raise ValueError(f"sandbox files name {str(path)!r} twice")
        checked[path] = _checked_content(name, content)
    for path in checked:
        if folder := next((parent for parent in path.parents if parent in checked), None):
            raise ValueError(f"sandbox file {str(folder)!r} can't also be the folder of {str(path)!r}")
    return checked


def _checked_name(name: str) -> PurePosixPath:
    if not isinstance(name, str):
        raise TypeError(f"sandbox file name must be text, not {type(name).__name__}: {name!r}")
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or name.endswith("/"):
        raise ValueError(f"sandbox file name must be relative, without '..', and name a file: {name!r}")
    try:
        longest = max(len(part.encode()) for part in path.parts)
    except UnicodeEncodeError:
        raise ValueError(f"sandbox file name can't be written as UTF-8: {name!r}") from None
    if longest > _LONGEST_NAME_BYTES or len(name) > 10 * _LONGEST_NAME_BYTES:
        raise ValueError(f"sandbox file name is too long ({len(name)} characters): {name[:40]!r}...")
    return path


def _checked_content(name: str, content: bytes | str) -> bytes:
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"sandbox file {name!r} can't be written as UTF-8: {error.reason}") from None
    if not isinstance(content, bytes):
        raise TypeError(f"sandbox file {name!r} must be text or bytes, not {type(content).__name__}")
    return content


@contextmanager
def unused_user_id() -> Iterator[int | None]:
    """Hold a uid that nobody else has while the `with` block runs; None where this process isn't root.

    Under root a limit on processes binds only for another user, and only a user without other processes can be counted
    exactly. As that user the program reads no file that root keeps for itself.

    Raises:
        SandboxError: Root, but no spare uid is mapped into this container.
    """
    if os.geteuid() != 0:
        yield None
        return
    candidates = _mapped_user_ids()
    with socket.socket(socket.AF_UNIX) as claim:
        for _ in range(_USER_ID_TRIES):
            user = random.choice(candidates)
            try:
                # An abstract name is given once on a machine, and back when its holder dies, however it dies.
                claim.bind(f"\0nemo-gym-sandbox-user-{user}")
            except OSError:
                continue
            yield user
            return
    raise SandboxError("no free user id for a sandboxed program; too many run at the same time")


def _mapped_user_ids() -> range:
    with open("/proc/self/uid_map") as lines:
        mapped = [range(int(inside), int(inside) + int(count)) for inside, _, count in map(str.split, lines)]
    for candidates in _UNUSED_USER_IDS:
        if any(candidates[0] in part and candidates[-1] in part for part in mapped):
            return candidates
    raise SandboxError("this process is root, and its container has no spare user id to run a program as")


@contextmanager
def memory_cgroup(max_bytes: int) -> Iterator[Path | None]:
    """Hold a cgroup (version 2) with this limit while the `with` block runs; None where this process can't make one."""
    parent = cgroup_parent()
    if parent is None:
        yield None
        return
    group = parent / f"nemo-gym-sandbox-{uuid.uuid4().hex}"
    group.mkdir()
    try:
        (group / "memory.max").write_text(str(max_bytes))
        for setting, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with contextlib.suppress(OSError):  # not on every kernel
                (group / setting).write_text(value)
        yield group
    finally:
        with contextlib.suppress(OSError):  # the supervisor removes it, unless it never started
            group.rmdir()


@cache
def cgroup_parent() -> Path | None:
    """Return the closest cgroup that hands the memory controller to groups we may make and fill. Blocks."""
    try:
        own = next(line[3:].strip() for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::")
    except (OSError, StopIteration):
        return None
    folder = _CGROUPS / own.lstrip("/")
    parents = [path for path in (folder, *folder.parents) if path.is_relative_to(_CGROUPS)]
    return next(filter(_holds_memory_groups, parents), None)


def _holds_memory_groups(parent: Path) -> bool:
    group = parent / f"nemo-gym-sandbox-{uuid.uuid4().hex}"
    try:
        if "memory" not in (parent / "cgroup.subtree_control").read_text().split():
            return False
        group.mkdir()
    except OSError:
        return False
    try:
        # To move a process there takes rights that only a try tells.
        tried = subprocess.run(["/bin/sh", "-c", 'echo 0 > "$0"', group / "cgroup.procs"], capture_output=True)
        return tried.returncode == 0
    finally:
        group.rmdir()
