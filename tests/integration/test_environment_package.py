"""The example package of docs/packages.md: built as a wheel, installed in a clean environment, found by its name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.free_port import free_port
from tests.integration.conftest import COMMAND_BOUND_S, ROOT

pytestmark = pytest.mark.integration
EXAMPLE = ROOT / "docs" / "examples" / "letter_count"
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
MODEL = """
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      default_answer: {message: "It is 3."}
"""
FROM_PYTHON = """
import nemo_gym
with nemo_gym.gym("letter_count", model=lambda params: "It is 3.") as gym:
    print([result.reward for result in sorted(gym.collect(gym.example_tasks()), key=lambda r: r.task_index)])
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**outside, **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built_wheel(source: Path, out: Path) -> Path:
    run(
        UV,
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "-o",
        out,
        source,
        cwd=out,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has nothing but the two wheels, what ours depends on, and pytest."""
    folder = tmp_path_factory.mktemp("clean")
    ours, example = (folder / name for name in ("ours", "example"))
    for wheels in (ours, example):
        wheels.mkdir()
    source = shutil.copytree(EXAMPLE, folder / "source")
    python = folder / "venv" / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    constraints = ROOT / "requirements" / "locked.txt"
    versions = [line.split(" ")[0] for line in constraints.read_text().splitlines() if line[:1].isalpha()]
    (folder / "constraints.txt").write_text("\n".join(version for version in versions if "numpy" not in version))
    install = (UV, "pip", "install", "--quiet", "--python", python)
    run(*install, "-c", folder / "constraints.txt", built_wheel(ROOT, ours), "pytest", "pytest-asyncio", cwd=folder)
    # Without dependencies: the one it has is installed, and must never be looked for in an index.
    run(*install, "--no-deps", "--offline", built_wheel(source, example), cwd=folder)
    return python.parent


def test_an_installed_environment_is_listed_with_its_distribution(installed: Path, tmp_path: Path) -> None:
    listed = {entry["name"]: entry for entry in json.loads(run(installed / "ng_list", "+as_json=true", cwd=tmp_path))}
    found = listed["letter_count"]
    assert (found["domain"], found["tools"], found["datasets"]) == ("knowledge", ["spell"], ["example"])
    assert (found["source"], found["licenses"]) == ("letter-count 1.0.0", ["CC0-1.0", "Apache-2.0"])
    assert found["note"] is None
    assert "example_simple_weather" in listed


def test_its_name_is_enough_for_the_commands(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(MODEL)
    home = {"NEMO_GYM_HOME": str(tmp_path / "home")}
    run(
        installed / "ng_e2e_collect_rollouts",
        "letter_count",
        "model.yaml",
        "agent_name=letter_count_simple_agent",
        f"head_server.port={free_port()}",
        f"input_jsonl_fpath={next(installed.parent.glob('lib/*/site-packages/letter_count/data/example.jsonl'))}",
        "output_jsonl_fpath=rollouts.jsonl",
        cwd=tmp_path,
        **home,
    )
    rows = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert {row["word"]: row["reward"] for row in rows} == {
        "strawberry": 1.0,
        "banana": 1.0,
        "Mississippi": 0.0,
        "committee": 0.0,
        "rhythm": 0.0,
    }


def test_its_name_is_enough_in_python(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "python", "-c", FROM_PYTHON, cwd=tmp_path)
    assert said.strip() == "[1.0, 1.0, 0.0, 0.0, 0.0]"


def test_the_package_has_tests_that_pass_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    command = [installed / "python", "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "tests"]
    assert "1 passed" in run(*command, cwd=tmp_path)
