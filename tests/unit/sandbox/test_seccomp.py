"""The system call filter as the kernel would decide by it, for each machine it knows."""

import errno
import struct

import pytest

from nemo_gym.sandbox import SandboxUnavailable
from nemo_gym.sandbox.seccomp import filter_program

ALLOWED, KILLED = "allowed", "killed"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE_NEWUSER, SIGCHLD = 0x10000000, 17


def _verdict(machine: str, number: int, first_argument: int = 0, architecture: int | None = None) -> str:
    """Decide as the kernel's interpreter of classic BPF does."""
    data = {0: number, 4: ARCHITECTURES[machine] if architecture is None else architecture, 16: first_argument}
    program = list(struct.iter_unpack("=HBBI", filter_program(machine)))
    at, loaded = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        if code == 0x06:
            return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(operand) or errno.errorcode[operand & 0xFFFF]
        if code == 0x20:
            loaded, skipped = data[operand], 0
        else:
            holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[code]
            skipped = if_true if holds else if_false
        at += 1 + skipped


@pytest.mark.parametrize(
    ("machine", "number", "verdict"),
    [
        pytest.param("x86_64", 0, ALLOWED, id="x86_64-read"),
        pytest.param("x86_64", 9, ALLOWED, id="x86_64-mmap"),
        pytest.param("x86_64", 29, "EPERM", id="x86_64-shmget"),
        pytest.param("x86_64", 319, "EPERM", id="x86_64-memfd_create"),
        pytest.param("x86_64", 435, "ENOSYS", id="x86_64-clone3"),
        pytest.param("x86_64", 0x40000000, KILLED, id="x86_64-x32"),
        pytest.param("aarch64", 63, ALLOWED, id="aarch64-read"),
        pytest.param("aarch64", 194, "EPERM", id="aarch64-shmget"),
        pytest.param("aarch64", 279, "EPERM", id="aarch64-memfd_create"),
        pytest.param("aarch64", 435, "ENOSYS", id="aarch64-clone3"),
    ],
)
def test_filter_decides_by_the_numbers_of_the_machine(machine: str, number: int, verdict: str) -> None:
    assert _verdict(machine, number) == verdict


@pytest.mark.parametrize(("machine", "clone"), [("x86_64", 56), ("aarch64", 220)])
def test_filter_allows_processes_and_refuses_namespaces(machine: str, clone: int) -> None:
    assert _verdict(machine, clone, SIGCHLD) == ALLOWED
    assert _verdict(machine, clone, SIGCHLD | CLONE_NEWUSER) == "EPERM"


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_filter_ends_calls_of_another_architecture(machine: str) -> None:
    assert _verdict(machine, 0, architecture=0x40000003) == KILLED  # i386


def test_machine_without_a_filter_runs_no_programs_and_names_those_that_do() -> None:
    with pytest.raises(SandboxUnavailable, match="on x86_64, aarch64, not on sparc64"):
        filter_program("sparc64")
