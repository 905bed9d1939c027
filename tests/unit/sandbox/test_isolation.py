"""What a program may not see, reach or inherit."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

import nemo_gym
from nemo_gym.sandbox import Sandbox
from nemo_gym.sandbox.filesystem import base_python
from tests.unit.sandbox.conftest import alive, scratch_folders, until

pytestmark = pytest.mark.alone

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only under root is the program another user at this level")
READ = """
import os, sys
path = sys.stdin.read()
try:
    print(os.listdir(path) if os.path.isdir(path) else open(path).read())
except OSError as error:
    print(type(error).__name__)
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection(('127.0.0.1', int(sys.stdin.read())), timeout=2)
    print('connected')
except OSError as error:
    print(type(error).__name__)
"""
CALLER = """
import asyncio, sys
from nemo_gym.sandbox import Sandbox
command = ['sh', '-c', 'setsid sleep 60 & sleep 60', sys.argv[1][::-1]]
asyncio.run(Sandbox(level='best_effort').run(command, timeout_s=60))
"""


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A folder as the launcher makes it: mode 0700, with a secret."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text("canary")
    return folder


def _private_paths(run_directory: Path) -> list[Path]:
    return [run_directory, run_directory / "token", Path("/etc/shadow"), Path("/root"), Path.home()]


def _is_way_to_python(path: Path, listing: bytes) -> bool:
    # Where our Python is installed inside a home, the home is there, with the one folder that leads to it.
    python = Path(base_python())
    return python.is_relative_to(path) and listing == f"{[python.relative_to(path).parts[0]]}\n".encode()


async def test_private_files_are_not_there(namespaces: Sandbox, run_directory: Path) -> None:
    for path in _private_paths(run_directory):
        result = await namespaces.run_python(READ, stdin=str(path).encode())
        assert result.stdout == b"FileNotFoundError\n" or _is_way_to_python(path, result.stdout), path


async def test_verifiers_and_expected_answers_are_not_there(namespaces: Sandbox) -> None:
    result = await namespaces.run_python(READ, stdin=str(Path(nemo_gym.__file__).parent).encode())
    assert result.stdout == b"FileNotFoundError\n"


@AS_ROOT
async def test_private_files_are_closed_to_a_program_with_resource_limits_alone(
    rlimits: Sandbox, run_directory: Path
) -> None:
    for path in (run_directory, run_directory / "token", Path("/etc/shadow")):
        assert (await rlimits.run_python(READ, stdin=str(path).encode())).stdout == b"PermissionError\n"


async def test_connection_to_loopback_is_refused(namespaces: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = await namespaces.run_python(CONNECT, stdin=str(listener.getsockname()[1]).encode())
    assert result.stdout == b"ConnectionRefusedError\n"


async def test_only_the_programs_own_processes_are_in_sight(namespaces: Sandbox) -> None:
    result = await namespaces.run_python("import os; print([p for p in os.listdir('/proc') if p.isdigit()])")
    assert result.stdout == b"['1', '2']\n"


async def test_the_system_is_read_only(namespaces: Sandbox) -> None:
    result = await namespaces.run(["sh", "-c", "for d in / /usr /dev /run /etc; do touch $d/x && echo $d; done"])
    assert result.stdout == b""


async def test_environment_of_the_server_is_not_inherited(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICY_API_KEY", "canary")
    result = await sandbox.run(["sh", "-c", "env; cat /proc/*/environ 2>/dev/null"])
    assert b"HOME=" in result.stdout
    assert b"canary" not in result.stdout


async def test_open_descriptors_are_not_inherited(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    result = await sandbox.run_python("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))")
    os.close(secret)
    # 0, 1, 2, and the one that lists the folder.
    assert result.stdout == b"[0, 1, 2, 3]\n"


async def test_program_is_never_root(sandbox: Sandbox) -> None:
    result = await sandbox.run(["sh", "-c", "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status"])
    assert result.stdout.splitlines()[0] != b"0"
    assert b"CapEff:\t0000000000000000" in result.stdout


async def test_program_does_not_outlive_a_caller_that_is_killed(level: str, sandbox: Sandbox, marker: str) -> None:
    before = scratch_folders()
    # Reversed for the caller: until a child of it executes something else, it has the caller's command line.
    caller = await asyncio.create_subprocess_exec(sys.executable, "-c", CALLER, marker[::-1])
    assert await until(lambda: alive(marker), within_s=60)
    assert scratch_folders() > before
    caller.send_signal(signal.SIGKILL)
    await caller.wait()
    assert await until(lambda: alive(marker) == [], within_s=60)
    assert await until(lambda: scratch_folders() <= before, within_s=60)
