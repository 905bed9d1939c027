"""A component's own tests, in the environment the component would run in."""

import asyncio
import os
import subprocess
from pathlib import Path

from nemo_gym.launch.processes.environments import build, environment_for
from nemo_gym.launch.processes.requirements import python_path
from nemo_gym.servers.runs.record import home

TEST_REQUIREMENTS = ("pytest>=8", "pytest-asyncio>=0.24", "pytest-timeout>=2.3", "httpx>=0.27")


def run_component_tests(directory: Path) -> int:
    """Run pytest on a component's folder; return its exit status (0 passed, 5 no tests)."""
    environment = environment_for(directory, "auto", also=TEST_REQUIREMENTS)
    if not environment.is_built:
        log_path = home() / "environments" / f"tests-{directory.name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(build(environment, log_path))
    command = [str(environment.python), "-m", "pytest", "-q", "-o", "asyncio_mode=auto", str(directory)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": python_path(directory)}, check=False).returncode
