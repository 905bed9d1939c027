"""Running engines for the tests marked `engines`, which `make test-engines` runs and nothing else does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.engine import PROFILES, START_BOUND_S, Engine
from tests.engines.setup_engines import EnginesHome
from tests.free_port import free_port


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests that want an engine unless `-m` asks for them; let those that run wait for it."""
    wanted = "engines" in (config.option.markexpr or "")
    for item in items:
        if item.get_closest_marker("engines"):
            item.add_marker(pytest.mark.timeout(2 * START_BOUND_S))
            if not wanted:
                item.add_marker(pytest.mark.skip(reason="wants a real engine: make test-engines"))


class RunningEngines:
    """Starts engines as tests want them, one at a time: each takes gigabytes of memory."""

    def __init__(self, home: EnginesHome, folder: Path) -> None:
        self.home = home
        self._folder = folder
        self._name: str | None = None
        self._engine: Engine | None = None

    def get(self, name: str) -> Engine:
        """Return the running engine of this profile, after stopping another one's."""
        if self._engine is None or name != self._name:
            self.stop()
            log = self._folder / f"{name}.log"
            self._name, self._engine = name, Engine(PROFILES[name], self.home, free_port(), log)
            self._engine.start()
        return self._engine

    def stop(self) -> None:
        """Stop the engine that runs, if any."""
        if self._engine is not None:
            self._engine.stop()
            self._engine = None


@pytest.fixture(scope="session")
def running_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngines]:
    """The engines of this test run, whose logs stay in its temporary folder."""
    home = EnginesHome.from_environment()
    if not home.is_ready:
        pytest.fail("the engines aren't installed: run `python -m tests.engines.setup_engines`")
    engines = RunningEngines(home, tmp_path_factory.mktemp("engines"))
    yield engines
    engines.stop()


@pytest.fixture
def engine_of(running_engines: RunningEngines) -> Callable[[str], Engine]:
    """Return a function from a profile's name to its running engine; a test may kill it and start it again."""
    return running_engines.get
