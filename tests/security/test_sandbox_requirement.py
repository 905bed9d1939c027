"""`require_sandbox`: a run that demands namespaces starts with them, or says what is missing and does not start."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import load_config
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.launch.plan import LaunchOptions, plan
from nemo_gym.sandbox import Sandbox, SandboxUnavailable
from nemo_gym.sandbox.bubblewrap import why_no_namespaces
from nemo_gym.sandbox.level import log_level_once

NO_NAMESPACES = why_no_namespaces()
NEEDS_NAMESPACES = pytest.mark.skipif(NO_NAMESPACES is not None, reason=str(NO_NAMESPACES))


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture(params=["NEMO_GYM_CONFIG_DICT", "NEMO_GYM_CONFIG_FILE"])
def run_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Make this process a server of a run that says `require_sandbox`."""

    def says(level: str) -> None:
        text, file = json.dumps({"require_sandbox": level}), tmp_path / "configuration.yaml"
        file.write_text(text)
        monkeypatch.setenv(request.param, text if request.param.endswith("DICT") else str(file))

    log_level_once.cache_clear()
    yield says
    log_level_once.cache_clear()


def _plan(*arguments: str) -> None:
    plan(load_config(parse_command_line(arguments), skip_dotenv=True), LaunchOptions())


@pytest.mark.usefixtures("without_bubblewrap")
def test_a_strict_run_without_bubblewrap_does_not_start_and_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"(?s)strict.*bwrap.*not installed.*fix: +install bubblewrap") as caught:
        _plan("+require_sandbox=strict")
    assert "command line, key require_sandbox" in str(caught.value)


@pytest.mark.usefixtures("without_bubblewrap")
@pytest.mark.parametrize("arguments", [[], ["+require_sandbox=best_effort"]])
def test_a_run_that_does_not_demand_namespaces_starts_without_them(arguments: list[str]) -> None:
    _plan(*arguments)


@NEEDS_NAMESPACES
def test_a_strict_run_starts_where_programs_get_namespaces() -> None:
    _plan("+require_sandbox=strict")


def test_a_level_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"(?s)require_sandbox is 'stric', which isn't known.*did you mean 'strict'"):
        _plan("+require_sandbox=stric")


@pytest.mark.usefixtures("without_bubblewrap")
async def test_a_strict_run_overrules_an_environment_that_would_make_do_with_less(run_says: Any) -> None:
    run_says("strict")
    with pytest.raises(SandboxUnavailable, match=r"bwrap\) is not installed"):
        await Sandbox(level="best_effort").run(["true"])


@pytest.mark.usefixtures("without_bubblewrap")
async def test_a_run_may_allow_less_than_an_environment_asks_for(run_says: Any) -> None:
    run_says("best_effort")
    assert await Sandbox(level="strict").level() == "rlimits"


@pytest.mark.usefixtures("without_bubblewrap")
async def test_a_server_logs_once_which_level_its_programs_get_and_what_that_lets_through(
    run_says: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run_says("best_effort")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await Sandbox().level()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert re.search(r"sandbox level rlimits: programs can use the network, .* fill /tmp and /dev/shm", said[0])
