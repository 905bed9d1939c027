"""The viewer beside a command, and a copied pytest case that is run."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.rollout.copies import copies_of
from tests.bounds import HANGS_AFTER_S
from tests.free_port import free_port

ROOT = Path(__file__).parents[2]
WEATHER = ROOT / "resources_servers" / "example_simple_weather"
_START = "from nemo_gym.commands.console import ng_e2e_collect_rollouts; ng_e2e_collect_rollouts()"
_BESIDE = """
from pathlib import Path
from nemo_gym.viewer.serving.beside import viewer_beside
with viewer_beside(Path("rollouts.jsonl")):
    input()
"""

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that a command has made with a viewer beside it."""
    folder = tmp_path_factory.mktemp("weather")
    arguments = [
        str(WEATHER / "configs" / "simple_weather.yaml"),
        str(ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml"),
        "agent_name=simple_weather_simple_agent",
        f"input_jsonl_fpath={WEATHER / 'data' / 'example.jsonl'}",
        "output_jsonl_fpath=rollouts.jsonl",
        f"head_server.port={free_port()}",
        "viewer=true",
    ]
    done = subprocess.run(
        [sys.executable, "-c", _START, *arguments],
        cwd=folder,
        env={**os.environ, "NEMO_GYM_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=4 * HANGS_AFTER_S,
    )
    assert done.returncode == 0, done.stderr
    return folder / "rollouts.jsonl"


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_a_viewer_beside_a_command_says_its_link_and_ends_with_the_command(tmp_path: Path, end: str) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", _BESIDE], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdin is not None
    assert command.stderr is not None
    with command:
        link = command.stderr.readline().removeprefix("viewer: ").partition("?token=")[0]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(link, timeout=HANGS_AFTER_S)
        if end == "killed":
            command.kill()
        command.stdin.close()
        command.stderr.read()  # ends when the viewer, which has the same pipe, has ended
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(link, timeout=HANGS_AFTER_S)


def test_a_viewer_of_what_is_not_there_says_so_and_waits_for_it(tmp_path: Path) -> None:
    start = [sys.executable, "-c", "from nemo_gym.commands.console import ng_viewer; ng_viewer()", "+input=later"]
    with subprocess.Popen(start, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stdout is not None
        assert viewer.stdout.readline().startswith("viewer: http://127.0.0.1:")
        viewer.terminate()
        _, err = viewer.communicate(timeout=HANGS_AFTER_S)
    assert f"{tmp_path / 'later'} doesn't exist yet" in err


def test_a_copied_pytest_case_passes_with_the_verifier_it_came_from(rollouts: Path, tmp_path: Path) -> None:
    follower = Follower(rollouts)
    follower.catch_up()
    case = tmp_path / "test_case.py"
    case.write_text(copies_of(follower, follower.table[0]).pytest_case)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(case)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=4 * HANGS_AFTER_S)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
