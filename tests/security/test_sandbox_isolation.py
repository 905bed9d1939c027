"""A program in namespaces finds no way out through sockets, nor to what belongs to the run."""

import contextlib
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_gym.launch.run_directory import RunDirectory
from nemo_gym.sandbox import Sandbox, SandboxLimits
from nemo_gym.sandbox.bubblewrap import why_no_namespaces

NO_NAMESPACES = why_no_namespaces()
pytestmark = pytest.mark.skipif(NO_NAMESPACES is not None, reason=str(NO_NAMESPACES))

CONNECT = """
import socket, sys
for line in sys.stdin.read().splitlines():
    family, _, where = line.partition(' ')
    loopback = '::1' if family == 'AF_INET6' else '127.0.0.1'
    address = (loopback, int(where)) if where.isdigit() else where.replace('@', chr(0))
    try:
        with socket.socket(getattr(socket, family)) as tried:
            tried.settimeout(2)
            tried.connect(address)
        print('connected', line)
    except OSError as error:
        print('closed')
"""
SEARCH = """
import glob, os, sys
wanted = sys.stdin.read().encode()
paths = glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline')
for folder, inner, files in os.walk('/'):
    skipped = ('/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/proc', '/dev', sys.base_prefix)
    inner[:] = [name for name in inner if os.path.join(folder, name) not in skipped]
    paths += [os.path.join(folder, name) for name in files]
for path in paths:
    try:
        with open(path, 'rb') as file:
            if wanted in file.read(100_000):
                print(path)
    except OSError:
        continue
print(len(paths) > 3)
"""


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(SandboxLimits(memory_bytes=256 * 2**20), "strict")


@contextlib.contextmanager
def _listening(family: socket.AddressFamily, address: object) -> Iterator[socket.socket]:
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


async def test_no_server_of_this_machine_can_be_called(sandbox: Sandbox, tmp_path: Path) -> None:
    name, path = f"\0nemo-gym-{uuid.uuid4().hex}", str(tmp_path / "s")
    with (
        _listening(socket.AF_INET, ("127.0.0.1", 0)) as loopback,
        _listening(socket.AF_UNIX, name),
        _listening(socket.AF_UNIX, path),
    ):
        port = loopback.getsockname()[1]
        tries = [f"AF_INET {port}", f"AF_INET6 {port}", f"AF_UNIX {name}".replace("\0", "@"), f"AF_UNIX {path}"]
        result = await sandbox.run_python(CONNECT, stdin="\n".join(tries).encode())
    assert result.stdout == b"closed\n" * len(tries), result.stderr


async def test_a_runs_token_and_keys_are_nowhere_to_be_found(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = f"canary{uuid.uuid4().hex}"
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NEMO_GYM_RUN_TOKEN", canary)
    run = RunDirectory()
    (run.path / "token").write_text(canary)
    result = await sandbox.run_python(SEARCH, stdin=canary.encode())
    assert (result.stdout, result.exit_status) == (b"True\n", 0), result.stderr
