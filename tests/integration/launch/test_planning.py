"""What a run decides before and while it starts servers: the plan, what it refuses, what components can import."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.launcher import Launcher
from tests.integration.launch.conftest import NG_RUN, Said

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
MakeLauncher = Callable[..., Launcher]


def test_dry_run_prints_the_plan_and_starts_and_writes_nothing(add_server: AddServer, project: Path) -> None:
    config = add_server("plain", requirements="no-such-package-4711\n")
    before = sorted(project.rglob("*"))
    command = [sys.executable, "-c", NG_RUN, str(config), "+dry_run=true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "(to be built)" in done.stdout
    assert "Nothing was started (dry_run)." in done.stdout
    assert sorted(project.rglob("*")) == before
    assert not (project.parent / "home").exists()


async def test_component_of_the_users_project_imports_itself_and_ours_by_full_name(
    add_server: AddServer, launcher_of: MakeLauncher, said: Said, project: Path
) -> None:
    code = """
import resources_servers.mine.words as mine
from resources_servers.example_simple_weather.app import SimpleWeatherServer
print(mine.WORD, SimpleWeatherServer.__name__, flush=True)
SimpleWeatherServer.run_webserver()
"""
    config = add_server("mine", code)
    (project / "resources_servers" / "mine" / "words.py").write_text("WORD = 'mine'\n")
    launcher = launcher_of(config.relative_to(project))  # which is nowhere, seen from the component's folder
    try:
        await launcher.start()
        assert "[mine] mine SimpleWeatherServer" in said
    finally:
        await launcher.stop()


@pytest.mark.parametrize(
    ("settings", "options", "where"),
    [
        pytest.param("", {"num_workers": 2}, "num_workers", id="workers-of-the-run-without-colocation"),
        pytest.param(
            "num_workers: 2",
            {"colocate": True},
            "plain.resources_servers.plain.num_workers",
            id="own-workers-colocated",
        ),
        pytest.param(
            "", {"colocate": True, "isolate": "always"}, "plain.resources_servers.plain", id="own-environment"
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(
    settings: str, options: dict[str, object], where: str, add_server: AddServer, launcher_of: MakeLauncher
) -> None:
    with pytest.raises(ConfigError) as caught:
        launcher_of(add_server("plain", settings=settings), **options)
    assert caught.value.mistakes[0].where == where


async def test_run_that_wants_ray_without_it_starts_nothing(
    add_server: AddServer, launcher_of: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it weren't installed
    launcher = launcher_of(add_server("plain", settings="ray_enabled: true"))
    with pytest.raises(ConfigError, match="needs Ray, which isn't installed"):
        await launcher.start()
    await launcher.stop()
    assert launcher.servers == {}
