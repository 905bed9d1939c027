"""A sandbox at each of the two levels, and eyes for what it may leave behind."""

import asyncio
import glob
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nemo_gym.sandbox import Sandbox, SandboxLevel, SandboxLimits
from nemo_gym.sandbox.bubblewrap import why_not
from nemo_gym.sandbox.orders import STAGE
from nemo_gym.sandbox.view import view_of

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
def _own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Others on this machine may use sandboxes too: what this test leaves behind is in a folder of its own."""
    tmp_path_factory.getbasetemp()  # pytest's own folder, made on its first use, is not to be inside
    folder = tempfile.mkdtemp(prefix="sandbox-test-")
    os.chmod(folder, 0o755)  # a sandbox may run as another user
    monkeypatch.setattr(tempfile, "tempdir", folder)
    monkeypatch.setenv("TMPDIR", folder)  # for a caller in a process of its own
    yield
    shutil.rmtree(folder)


@pytest.fixture
def started() -> Callable[[], list[psutil.Process]]:
    """The processes below this one that the test has started; runs that other tests share are older."""
    before = psutil.Process().children(recursive=True)
    return lambda: [child for child in psutil.Process().children(recursive=True) if child not in before]


@pytest.fixture(scope="session")
def no_namespaces() -> str | None:
    """Why this machine gives no namespaces; None where it does."""
    return why_not(view_of(None, []), SMALL, STAGE)


@pytest.fixture
def namespaces(no_namespaces: str | None) -> Sandbox:
    if no_namespaces:
        pytest.skip(no_namespaces)
    return Sandbox(SMALL, "strict")


@pytest.fixture
def rlimits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    if os.geteuid() == 0 and view_of(None, []).python_for_strangers() is None:
        pytest.skip("root, and no Python that another user may run")
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
