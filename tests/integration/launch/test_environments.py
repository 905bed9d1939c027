"""A server that asks for more than is installed gets its own environment: built once, shared, whole or not at all."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.environments import building
from nemo_gym.launch.launcher import Launcher
from tests.integration.launch.conftest import SERVES, Said

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
MakeLauncher = Callable[..., Launcher]
USES_PACKAGE = "import sys, tiny_for_test\nprint(tiny_for_test.WORD, sys.prefix, flush=True)\n" + SERVES


@pytest.fixture
def tiny_wheel(tmp_path: Path) -> Path:
    """A wheel of one module that is installed nowhere."""
    path = tmp_path / "tiny_for_test-1.0-py3-none-any.whl"
    info = "tiny_for_test-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_for_test.py", "WORD = 'installed'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny_for_test\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def without_own_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own dependencies would come from a package index, which a test must not need; tiny servers use none."""
    monkeypatch.setattr(building.importlib.metadata, "requires", lambda name: [])


async def started_and_stopped(launcher: Launcher) -> None:
    try:
        await launcher.start()
    finally:
        await launcher.stop()


def built(project: Path) -> list[Path]:
    return [path for path in (project.parent / "home" / "environments").iterdir() if path.is_dir()]


@pytest.mark.usefixtures("without_own_dependencies")
async def test_two_servers_with_the_same_missing_package_share_one_environment_that_is_reused(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said, project: Path, tiny_wheel: Path
) -> None:
    configs = [add_server(name, USES_PACKAGE, requirements=f"{tiny_wheel}\n") for name in ("one", "two")]
    await started_and_stopped(launcher_of(*configs))
    (folder,) = built(project)
    assert f"[one] installed {folder}" in said
    assert f"[two] installed {folder}" in said
    first_time = folder.stat().st_mtime_ns
    said.clear()
    await started_and_stopped(launcher_of(*configs))
    assert f"[one] installed {folder}" in said
    assert not any("building" in line for line in said)
    assert folder.stat().st_mtime_ns == first_time


@pytest.mark.usefixtures("without_own_dependencies")
async def test_failed_build_shows_the_installers_words_and_leaves_no_folder(
    add_server: AddServer, launcher_of: MakeLauncher, project: Path
) -> None:
    config = add_server("greedy", requirements="./no-such-file-1.0-py3-none-any.whl\n")
    launcher = launcher_of(config)
    with pytest.raises(ConfigError) as caught:
        await started_and_stopped(launcher)
    assert f"can't build an environment for {project / 'resources_servers' / 'greedy'}" in str(caught.value)
    assert "no-such-file" in str(caught.value).split("\n    | ", 1)[1]
    assert built(project) == []


async def test_server_whose_requirements_are_installed_runs_in_the_current_environment(
    add_server: AddServer, launcher_of: MakeLauncher, project: Path
) -> None:
    text = "-e nemo-gym[dev] @ ../../\n# a comment\npydantic>=2\n--extra-index-url http://127.0.0.1:9/simple\n"
    await started_and_stopped(launcher_of(add_server("modest", requirements=text)))
    assert not (project.parent / "home" / "environments").exists()


async def test_isolate_never_runs_a_server_without_what_it_asks_for(
    add_server: AddServer, launcher_of: MakeLauncher, project: Path
) -> None:
    await started_and_stopped(launcher_of(add_server("greedy", requirements="no-such-package-4711\n"), isolate="never"))
    assert not (project.parent / "home" / "environments").exists()


@pytest.mark.usefixtures("without_own_dependencies")
async def test_isolate_always_gives_even_a_modest_server_its_own(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said, project: Path
) -> None:
    code = "import sys\nprint(sys.prefix, flush=True)\n" + SERVES
    await started_and_stopped(launcher_of(add_server("modest", code), isolate="always"))
    assert f"[modest] {built(project)[0]}" in said
