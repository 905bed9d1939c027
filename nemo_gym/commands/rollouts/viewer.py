"""Look at rollouts in a browser: one collection, or all below a folder, also while they are collected."""

import sys
from pathlib import Path

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.viewer.serving.server import serve_viewer


class ViewerOptions(BaseModel):
    """Parameters of ng_viewer."""

    input: Path = Field(default=Path(), description="A rollout file, or a folder with collections; default: here.")
    port: int = Field(default=0, ge=0, le=65_535, description="Port on 127.0.0.1; 0: a free one.")


def main() -> None:
    """Entry point of ng_viewer."""
    run_command("ng_viewer", __doc__ or "", ViewerOptions, view)


def view(command_line: CommandLine) -> int:
    """Serve until Ctrl-C; return the exit status."""
    require_known(ViewerOptions, command_line)
    options = read_options(ViewerOptions, command_line.overrides)
    if not options.input.exists() and not options.input.absolute().parent.is_dir():
        fix = "name a rollout file, or a folder with rollout files below it"
        raise ConfigError(Mistake(f"{options.input} isn't there", where="input", fix=fix))
    serve_viewer(options.input, options.port, say)
    return DONE


def say(line: str) -> None:
    """Print a line at once: on a pipe, too, somebody waits for the link."""
    print(f"{line}\nCtrl-C ends it", file=sys.stdout, flush=True)
