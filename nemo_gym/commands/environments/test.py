"""Run one component's tests, in the environment it would run in."""

import asyncio
import os
import subprocess
from pathlib import Path

from pydantic import BaseModel, Field

from nemo_gym.collections.tasks import data_mistakes
from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.keys import KINDS
from nemo_gym.config.paths import candidate_paths
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.launch.environments.building import build, environment_for
from nemo_gym.launch.environments.requirements import python_path
from nemo_gym.servers.runs.record import home

NO_TESTS = 5  # exit status of pytest
TEST_REQUIREMENTS = ("pytest>=8", "pytest-asyncio>=0.24", "pytest-timeout>=2.3", "httpx>=0.27")


class TestOptions(BaseModel):
    """Parameters of ng_test."""

    __test__ = False  # for pytest: this isn't a test class

    entrypoint: Path = Field(description="The component's folder, e.g. resources_servers/example_simple_weather.")
    should_validate_data: bool = Field(default=False, description="Also check its data folder.")


def main() -> None:
    """Entry point of ng_test."""
    run_command("ng_test", __doc__ or "", TestOptions, test)


def test(command_line: CommandLine) -> int:
    """Test one component; return the exit status."""
    require_known(TestOptions, command_line)
    options = read_options(TestOptions, command_line.overrides)
    return test_component(find_folder(options.entrypoint), validate_data=options.should_validate_data)


def test_component(directory: Path, *, validate_data: bool) -> int:
    """Run a component's tests and, where asked for, check its data; 0 when all is well."""
    status = _run_pytest(directory)
    if status == NO_TESTS:
        print(f"{directory}: no tests")
    mistakes = data_mistakes(directory / "data") if validate_data else []
    for mistake in mistakes:
        print(mistake)
    return DONE if status == 0 and not mistakes else INCOMPLETE


def _run_pytest(directory: Path) -> int:
    """Run pytest on a component's folder, in the environment the component would run in; return its exit status."""
    environment = environment_for(directory, "auto", also=TEST_REQUIREMENTS)
    if not environment.is_built:
        asyncio.run(build(environment, home() / "environments" / f"tests-{directory.name}.log"))
    settings = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
    options = [word for setting in settings for word in ("-o", setting)]
    command = [str(environment.python), "-m", "pytest", "-q", *options, str(directory)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": python_path(directory)}, check=False).returncode


def components() -> list[Path]:
    """Return the folder of every component in sight of the current folder, by kind and name."""
    folders: dict[str, Path] = {}
    for kind in KINDS:
        for place in candidate_paths(Path(kind)):
            for script in sorted(place.glob("*/app.py")):
                folders.setdefault(f"{kind}/{script.parent.name}", script.parent)
    return [folders[name] for name in sorted(folders)]


def find_folder(entrypoint: Path) -> Path:
    """Return the folder of a component; raises ConfigError, with what is known, when there is none."""
    found = next((place for place in candidate_paths(entrypoint) if (place / "app.py").is_file()), None)
    if found is None:
        known = [f"{path.parent.name}/{path.name}" for path in components()]
        what = f"no component '{entrypoint}' (a folder with an app.py)"
        raise ConfigError(Mistake(what, where="entrypoint", known=known, fix=did_you_mean(str(entrypoint), known)))
    return found.resolve()
