"""The pages about training data, as commands to run."""

import re
import subprocess
from pathlib import Path

from tests.free_port import free_port
from tests.integration.conftest import COMMAND_BOUND_S, ROOT


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language on a page of `docs/`, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)


def run_commands(page: str, folder: Path, environment: dict[str, str]) -> str:
    """Run every bash block of a page in a folder, as a person would type it; return what was printed."""
    (folder / "env.yaml").write_text(f"head_server: {{host: 127.0.0.1, port: {free_port()}}}\n")
    said = ""
    for block in blocks(page, "bash"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_BOUND_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    return said
