"""Memory that belongs to no single process: what a program may not have, and what is counted for it."""

import os
import platform
from pathlib import Path

import pytest

from nemo_gym.sandbox import Sandbox
from nemo_gym.sandbox.allocation import cgroup_parent

pytestmark = pytest.mark.alone

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root's programs get a user of their own at level rlimits")
X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code for x86_64")

LIBC_CALL = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
PRINT_RESULT = "print('refused' if {call} == -1 and ctypes.get_errno() in (1, 38) else 'allowed')\n"
# 40 MB in a segment that is detached at once, so that no process has it in its address space.
HELD_IN_SEGMENTS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
for _ in range(3):
    segment = libc.shmget(0, 40_000_000, 0o1600)
    if segment == -1:
        break
    address = libc.shmat(segment, None, 0)
    ctypes.memset(address, 1, 40_000_000)
    libc.shmdt(ctypes.c_void_p(address))
    print('held')
"""
# Dropped from each process's page tables, the pages stay in memory as long as they are mapped.
SHARED_AND_DROPPED = """
import mmap, os, time
for _ in range(5):
    dropped, done = os.pipe()
    if os.fork() == 0:
        held = mmap.mmap(-1, 80_000_000)
        for _ in range(80):
            held.write(bytes(1_000_000))
            held.madvise(mmap.MADV_DONTNEED)
        os.write(done, b'1')
        time.sleep(60)
    os.read(dropped, 1)
time.sleep(60)
"""
SHARED_BY_ALL = """
import mmap, os, time
held = mmap.mmap(-1, 80_000_000)
for _ in range(80):
    held.write(bytes(1_000_000))
children = []
for _ in range(5):
    if (child := os.fork()) == 0:
        sum(held[at] for at in range(0, len(held), mmap.PAGESIZE))
        time.sleep(0.3)
        os._exit(0)
    children.append(child)
print({os.waitpid(child, 0)[1] for child in children})
"""
MACHINE_CODE = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex('%s'))
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
"""
# At most 50 MB in each process's files, which are in memory and have no name any more.
HELD_IN_DELETED_FILES = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        held = [open(f'/dev/shm/nemo-gym-{os.getpid()}-{i}', 'wb') for i in range(50)]
        for file in held:
            os.unlink(file.name)
            file.write(bytes(1_000_000))
            file.flush()
        time.sleep(60)
time.sleep(60)
"""
GETPID_BY_32_BIT_CALL = "b814000000cd80c3"  # mov eax, 20; int 0x80; ret
GETPID_BY_X32_CALL = "b8270000400f05c3"  # mov eax, 0x40000027; syscall; ret


@pytest.fixture
def memory_cgroups() -> None:
    if cgroup_parent() is None:
        pytest.skip("no cgroup (version 2) here hands memory limits to groups that this process can make")


@pytest.mark.parametrize(
    "call",
    [
        "libc.shmget(0, 4096, 0o1600)",
        "libc.msgget(0, 0o1600)",
        "libc.semget(0, 1, 0o1600)",
        "libc.mq_open(b'/nemo-gym-test', os.O_CREAT | os.O_RDWR, 0o600, None)",
        "libc.memfd_create(b'x', 0)",
        "libc.unshare(0x10000000)",
        "libc.syscall(SYS_clone, 0x10000000 | 17, 0, 0, 0, 0)",
    ],
    ids=["shmget", "msgget", "semget", "mq_open", "memfd_create", "unshare", "clone"],
)
async def test_memory_or_namespace_beyond_the_count_is_refused(sandbox: Sandbox, call: str) -> None:
    clone = {"x86_64": "56", "aarch64": "220"}[platform.machine()]
    source = LIBC_CALL + PRINT_RESULT.format(call=call.replace("SYS_clone", clone))
    result = await sandbox.run_python(source)
    assert result.stdout == b"refused\n", result


async def test_segments_that_no_process_maps_cannot_be_held(sandbox: Sandbox) -> None:
    before = _segments()
    result = await sandbox.run_python(HELD_IN_SEGMENTS)
    assert (result.exit_status, result.stdout) == (0, b"")
    assert _segments() <= before


async def test_shared_memory_without_a_resident_page_is_counted(sandbox: Sandbox) -> None:
    assert (await sandbox.run_python(SHARED_AND_DROPPED)).limit_hit == "memory"


async def test_memory_that_processes_share_is_counted_once(sandbox: Sandbox) -> None:
    result = await sandbox.run_python(SHARED_BY_ALL)
    assert (result.limit_hit, result.stdout) == (None, b"{0}\n"), result.stderr


async def test_threads_and_processes_start_although_namespaces_are_refused(sandbox: Sandbox) -> None:
    source = (
        "import multiprocessing, subprocess, threading\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
        "print(multiprocessing.get_context('fork').Pool(2).map(abs, [-1, -2]))\n"
        "print(subprocess.run(['echo', 'child'], stdout=subprocess.PIPE).stdout)\n"
    )
    result = await sandbox.run_python(source)
    assert result.stdout == b"thread\n[1, 2]\nb'child\\n'\n", result.stderr


@X86_64
@pytest.mark.parametrize("code", [GETPID_BY_32_BIT_CALL, GETPID_BY_X32_CALL], ids=["32-bit", "x32"])
async def test_system_call_of_another_architecture_ends_the_program(sandbox: Sandbox, code: str) -> None:
    result = await sandbox.run_python(MACHINE_CODE % code)
    assert (result.exit_status, result.stdout) == (128 + 31, b""), result  # SIGSYS


@AS_ROOT
@pytest.mark.parametrize("folder", ["/dev/shm", "/tmp", "/var/tmp"])
async def test_files_left_in_folders_open_to_all_are_removed(rlimits: Sandbox, folder: str, marker: str) -> None:
    left, kept = Path(folder, marker), Path(folder, f"kept-{marker}")
    kept.touch()
    try:
        script = f"mkdir -p {left}/a && echo x > {left}/a/b && chmod 000 {left}/a && ls -d {left}"
        result = await rlimits.run(["sh", "-c", script])
        assert result.stdout == f"{left}\n".encode()
        assert (left.exists(), kept.exists()) == (False, True)
    finally:
        kept.unlink()


async def test_memory_in_no_process_is_counted_in_a_cgroup(memory_cgroups: None, rlimits: Sandbox) -> None:
    assert (await rlimits.run_python(HELD_IN_DELETED_FILES)).limit_hit == "memory"


async def test_cgroup_is_gone_after_its_program(memory_cgroups: None, sandbox: Sandbox) -> None:
    parent = cgroup_parent()
    assert parent is not None
    result = await sandbox.run(["cat", "/proc/self/cgroup"])
    assert (result.ok, list(parent.glob("nemo-gym-sandbox-*"))) == (True, [])


def _segments() -> set[str]:
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
