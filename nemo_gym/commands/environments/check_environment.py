"""Prove an environment without a model: it can be solved, can't be cheated, and gives what it gave before.

Takes a component's folder, or configuration files as arguments. Its example tasks need solutions; a judge needs a
scripted model.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
from pydantic import BaseModel, Field
from rich.console import Console

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.commands.environments.test import find_folder
from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.environment_checks import CHECKS, check_component
from nemo_gym.environment_checks.checks import MAX_TASKS
from nemo_gym.launch.environments.building import build, environment_for
from nemo_gym.launch.environments.requirements import python_path
from nemo_gym.servers.runs.record import home
from nemo_gym.testing.component import component


class CheckOptions(BaseModel):
    """Parameters of ng_check_environment."""

    entrypoint: Path | None = Field(
        default=None, description="The component's folder, resources_servers/<name>; not with configuration files."
    )
    json_fpath: Path | None = Field(default=None, description="Write the report there, as JSON.")
    limit: int = Field(default=MAX_TASKS, ge=1, description="Example tasks that are rolled out.")
    max_reward: float | None = Field(
        default=None, description="What a solved task is worth; by default the class's max_reward, else 1."
    )
    skip: list[str] = Field(default=[], description=f"Checks to leave out, of: {', '.join(CHECKS)}.")


def main() -> None:
    """Entry point of ng_check_environment."""
    run_command("ng_check_environment", __doc__ or "", CheckOptions, check)


def check(command_line: CommandLine) -> int:
    """Check one environment, print the report and return the exit status."""
    require_known(CheckOptions, command_line, reads_files=True)
    options = read_options(CheckOptions, command_line.overrides)
    paths = _paths(options, command_line)
    _require_checks(options.skip)
    folder = component(*paths).folder
    environment = environment_for(folder, "auto")
    if environment.python.resolve() == Path(sys.executable).resolve():
        return _check_here(paths, options)
    if not environment.is_built:
        asyncio.run(build(environment, home() / "environments" / f"check-{folder.name}.log"))
    command = [str(environment.python), "-c", f"from {__name__} import main; main()", *sys.argv[1:]]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": python_path(folder)}, check=False).returncode


def _check_here(paths: Sequence[str | Path], options: CheckOptions) -> int:
    report = check_component(*paths, limit=options.limit, max_reward=options.max_reward, skip=options.skip)
    Console().print(report.table())
    if options.json_fpath is not None:
        options.json_fpath.parent.mkdir(parents=True, exist_ok=True)
        options.json_fpath.write_bytes(orjson.dumps(report.json(), option=orjson.OPT_INDENT_2))
    return DONE if report.is_passed else INCOMPLETE


def _paths(options: CheckOptions, command_line: CommandLine) -> list[str | Path]:
    if options.entrypoint is not None and not command_line.config_paths:
        return [find_folder(options.entrypoint)]
    if command_line.config_paths and options.entrypoint is None:
        return list(command_line.config_paths)
    fix = "write +entrypoint=resources_servers/<name>, or the configuration files"
    raise ConfigError(Mistake("which environment? Name its folder or its files", where="command line", fix=fix))


def _require_checks(names: Sequence[str]) -> None:
    mistakes = [
        Mistake(f"no check named '{name}'", where="skip", known=list(CHECKS), fix=did_you_mean(name, CHECKS))
        for name in names
        if name not in CHECKS
    ]
    if mistakes:
        raise ConfigError(*mistakes)
