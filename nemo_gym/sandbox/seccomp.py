"""The filter on system calls that every program gets, at both levels: what would escape the limits is refused.

It closes memory that belongs to no process, and so is in nobody's count and may outlive the program: System V segments,
queues and semaphores, POSIX queues, memfd, kernel keys, tracing and io_uring buffers. And it closes new namespaces, in
which a program could mount a file system in memory of any size.

Source: seccomp(2); system call numbers from the kernel's asm/unistd_64.h and asm-generic/unistd.h.
"""

import errno
import platform
import struct

from nemo_gym.sandbox.interface import SandboxUnavailable

# linux/audit.h: what a call made in the machine's own mode says of itself.
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Numbers on x86_64 and on aarch64; calls added since 2018 have the same number everywhere.
_REFUSED = {
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "setns": (308, 268),
}
_CLONE = (56, 220)
_CLONE3 = 435
# linux/sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_X32_BIT = 0x40000000

# linux/bpf_common.h and linux/seccomp.h.
_LOAD_WORD, _JUMP_EQUAL, _JUMP_GREATER_OR_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16


def filter_program(machine: str | None = None) -> bytes:
    """Return the filter as the kernel takes it: an array of `struct sock_filter`, 8 bytes each.

    A refused call fails with EPERM. `clone3` fails with ENOSYS: its flags lie in memory where no filter can read them,
    and every C library then uses `clone`. A call of another architecture (32-bit, x32) ends the process with SIGSYS.

    Args:
        machine: As `uname -m` names it; None is this one.

    Raises:
        SandboxUnavailable: No filter is known for this machine.
    """
    machine = machine or platform.machine()
    if machine not in _AUDIT_ARCH:
        known = ", ".join(_AUDIT_ARCH)
        raise SandboxUnavailable(f"model-written code runs on {known}, not on {machine}: no system call filter for it")
    column = list(_AUDIT_ARCH).index(machine)
    return b"".join(
        [
            _load(_ARCHITECTURE_AT),
            *_unless(_JUMP_EQUAL, _AUDIT_ARCH[machine], _KILL_PROCESS),
            _load(_NUMBER_AT),
            *_when(_JUMP_GREATER_OR_EQUAL, _X32_BIT, _KILL_PROCESS),
            *_when(_JUMP_EQUAL, _CLONE3, _ERRNO | errno.ENOSYS),
            *(
                part
                for numbers in _REFUSED.values()
                for part in _when(_JUMP_EQUAL, numbers[column], _ERRNO | errno.EPERM)
            ),
            *_unless(_JUMP_EQUAL, _CLONE[column], _ALLOW),
            _load(_FIRST_ARGUMENT_AT),  # its lower half, on these little-endian machines
            *_when(_JUMP_ANY_BIT, _NEW_NAMESPACES, _ERRNO | errno.EPERM),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD_WORD, offset)


def _when(test: int, operand: int, verdict: int) -> tuple[bytes, bytes]:
    return _instruction(test, operand, if_false=1), _instruction(_RETURN, verdict)


def _unless(test: int, operand: int, verdict: int) -> tuple[bytes, bytes]:
    return _instruction(test, operand, if_true=1), _instruction(_RETURN, verdict)
