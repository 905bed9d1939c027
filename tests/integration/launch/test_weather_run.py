"""The weather example as real processes: table, logs, secrets, status, restart, stop. One run for all of these."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bounds import HANGS_AFTER_S
from tests.integration.launch.conftest import Run
from tests.run_access import instances_of

pytestmark = pytest.mark.integration
CONFIGS = (
    "resources_servers/example_simple_weather/configs/simple_weather.yaml",
    "responses_api_models/openai_model/configs/openai_model.yaml",
)
NAMES = ["example_simple_weather", "policy_model", "simple_weather_simple_agent"]
KEY = "sk-canary-0815"


def command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"from nemo_gym.commands.servers.{module} import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=HANGS_AFTER_S, check=False
    )


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def weather(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("weather")
    values = f"policy_base_url: http://127.0.0.1:9/v1\npolicy_api_key: {KEY}\npolicy_model_name: none\n"
    (folder / "env.yaml").write_text(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NEMO_GYM_HOME", str(folder / "home"))
        run = Run([f"+config_paths=[{','.join(CONFIGS)}]", f"+head_server.port={port}"], folder / "run.log")
        try:
            run.wait_for("All 3 servers are ready")
            yield run
        finally:
            run.process.terminate()
            run.process.wait(timeout=HANGS_AFTER_S)


def instances(port: int) -> list[dict[str, object]]:
    return sorted(instances_of(port, Path.cwd() / "home"), key=lambda instance: instance["name"])


def test_ready_table_names_every_server_its_address_and_pid_and_once_where_the_logs_are(
    weather: Run, port: int
) -> None:
    found = instances(port)
    assert [instance["name"] for instance in found] == NAMES
    lines = weather.output.splitlines()
    for instance, kind in zip(found, ("resources", "model", "agent"), strict=True):
        assert [instance["name"], kind, instance["url"], str(instance["pid"])] in [line.split() for line in lines]
        assert f"logs: {Path(str(instance['log'])).parent}" in lines
        assert (instance["process_name"], instance["server_type"]) == (instance["name"], instance["kind"])


def test_a_run_that_needs_no_ray_neither_loads_it_nor_starts_a_process_for_it(weather: Run, port: int) -> None:
    launcher = psutil.Process(weather.process.pid)
    below = launcher.children(recursive=True)
    assert sorted(process.pid for process in below) == sorted(instance["pid"] for instance in instances(port))
    libraries = [mapped.path for process in (launcher, *below) for mapped in process.memory_maps()]
    assert len(libraries) > 0
    assert [path for path in libraries if path.endswith("/_raylet.so")] == []  # which `import ray` loads at once


def test_run_directory_is_private_and_holds_one_log_per_server(weather: Run, port: int) -> None:
    (folder,) = (Path.cwd() / "home" / "runs").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in (folder / "logs").iterdir()) == [f"{name}.log" for name in NAMES]
    assert [Path(str(instance["log"])).exists() for instance in instances(port)] == [True] * 3


def test_key_is_told_only_to_the_server_that_has_it(weather: Run) -> None:
    servers = [p for p in weather.look() if p.is_running()]
    holders = [p for p in servers if KEY in Path(p.environ()["NEMO_GYM_CONFIG_FILE"]).read_text()]
    assert [p.environ()["NEMO_GYM_CONFIG_PATH"] for p in holders] == ["policy_model"]
    assert all(KEY not in " ".join([*p.cmdline(), *p.environ().values()]) for p in servers)
    assert KEY not in weather.output


def test_status_shows_every_server_ready_and_ends_with_zero(weather: Run, port: int) -> None:
    shown = command("status", f"+head_server.port={port}")
    assert shown.returncode == 0, shown.stderr
    assert f"head http://127.0.0.1:{port}, pid {weather.process.pid}" in shown.stdout
    assert [line.split()[4:] for line in shown.stdout.splitlines()[4:-1]] == [["ready"]] * 3
    assert shown.stdout.endswith("\n3 servers found (3 healthy, 0 unhealthy)\n")


def test_status_of_another_port_says_which_runs_there_are(weather: Run, port: int) -> None:
    shown = command("status", "+head_server.port=9")
    assert shown.returncode == 2
    assert "no run has its head on port 9" in shown.stderr
    assert f"known: {port} (" in shown.stderr


def test_killed_server_is_back_on_its_port_and_healthy(weather: Run, port: int) -> None:
    before = instances(port)[1]
    os.kill(int(str(before["pid"])), signal.SIGKILL)
    weather.wait_for("policy_model was ended by SIGKILL while running")
    until = time.monotonic() + HANGS_AFTER_S
    while instances(port)[1]["state"] != "ready":
        assert time.monotonic() < until
        time.sleep(0.05)
    after = instances(port)[1]
    assert after["url"] == before["url"]
    assert after["pid"] != before["pid"]
    with urllib.request.urlopen(f"{after['url']}/health", timeout=HANGS_AFTER_S) as answer:
        assert json.load(answer) == {"status": "ok", "name": "policy_model"}


def test_stop_ends_everything_and_status_then_shows_nothing(weather: Run, port: int) -> None:
    servers = weather.look()
    stopped = command("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "with 3 servers\n" in stopped.stdout
    weather.assert_all_gone()
    assert len(servers) >= 3
    assert [p for p in psutil.net_connections("tcp") if p.laddr[1:] == (port,) and p.status == "LISTEN"] == []
    shown = command("status")
    nothing = "nothing runs here\n0 servers found (0 healthy, 0 unhealthy)\n"
    assert (shown.returncode, shown.stdout) == (1, nothing)
    assert "never retrieved" not in weather.output
    assert "Traceback" not in weather.output
