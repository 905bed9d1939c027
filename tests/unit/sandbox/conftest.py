"""A sandbox at each of the two levels, and ways to find what it may leave behind."""

import asyncio
import glob
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nemo_gym.sandbox import Sandbox, SandboxError, SandboxLevel, SandboxLimits
from nemo_gym.sandbox.bubblewrap import why_no_namespaces
from nemo_gym.sandbox.filesystem import filesystem_view
from nemo_gym.sandbox.level import python_for_programs

SMALL = SandboxLimits(
    timeout_s=5.0,
    cpu_s=3,
    memory_bytes=200 * 2**20,
    file_bytes=2**20,
    scratch_bytes=4 * 2**20,
    processes=16,
    output_bytes=50_000,
)


@pytest.fixture(autouse=True)
def temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each test a temporary folder of its own, so that it sees no scratch folder of another run."""
    tmp_path_factory.getbasetemp()  # chosen before the temporary folder is another
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # programs run as another user
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture
def started() -> Callable[[], list[psutil.Process]]:
    """The processes below this one that the test has started; runs that other tests share are older."""
    before = psutil.Process().children(recursive=True)
    return lambda: [child for child in psutil.Process().children(recursive=True) if child not in before]


@pytest.fixture(scope="session")
def no_namespaces() -> str | None:
    """Why this machine gives no namespaces; None where it does."""
    return why_no_namespaces()


@pytest.fixture
def namespaces(no_namespaces: str | None) -> Sandbox:
    if no_namespaces:
        pytest.skip(no_namespaces)
    return Sandbox(SMALL, "strict")


@pytest.fixture
def rlimits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    try:
        python_for_programs("rlimits", filesystem_view())
    except SandboxError as error:
        pytest.skip(str(error).splitlines()[0])
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))  # no bwrap in it
    return Sandbox(SMALL, "best_effort")


@pytest.fixture(params=["namespaces", "rlimits"])
def level(request: pytest.FixtureRequest) -> SandboxLevel:
    level: SandboxLevel = request.param
    return level


@pytest.fixture
def sandbox(level: SandboxLevel, request: pytest.FixtureRequest) -> Sandbox:
    sandbox: Sandbox = request.getfixturevalue(level)
    return sandbox


@pytest.fixture
def marker() -> str:
    """A word to put on a program's command line, by which `alive` finds its processes."""
    return f"marker-{uuid.uuid4().hex}"


def alive(marker: str) -> list[int]:
    """Return the pids of this machine's processes with the marker on their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if marker in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def scratch_folders() -> set[str]:
    """Return the scratch folders that exist now."""
    return set(glob.glob(f"{tempfile.gettempdir()}/nemo-gym-sandbox-*"))


async def until(condition: Callable[[], object], within_s: float) -> bool:
    """Wait for a condition; False when it did not come true in time."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(0.02)
    return True
