"""Print the versions of nemo-gym, Python and the main packages."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.config.reading.command_line import CommandLine

_PACKAGES = ("nemo-gym", "fastapi", "uvicorn", "aiohttp", "pydantic", "omegaconf", "ray", "xllamacpp")


class VersionOptions(BaseModel):
    """Parameters of ng_version."""

    as_json: bool = Field(default=False, description="Print JSON.")


def main() -> None:
    """Entry point of ng_version."""
    run_command("ng_version", __doc__ or "", VersionOptions, show)


def show(command_line: CommandLine) -> int:
    """Print the versions."""
    require_known(VersionOptions, command_line)
    versions = {name: _version(name) for name in _PACKAGES}
    versions["python"] = platform.python_version()
    if read_options(VersionOptions, command_line.overrides).as_json:
        print(json.dumps(versions))
    else:
        for name, number in versions.items():
            print(f"{name:10} {number or '(not installed)'}")
    return DONE


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
