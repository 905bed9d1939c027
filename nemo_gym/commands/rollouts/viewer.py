"""Look at rollouts in a browser: one collection, or all below a folder, also while they are collected."""

import sys
from pathlib import Path

from pydantic import BaseModel, Field

from nemo_gym.collections.line_file import OutputError
from nemo_gym.collections.reading.finished import check_rollout_file
from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.viewer.export.content import Exported
from nemo_gym.viewer.export.report import write_report
from nemo_gym.viewer.library import Library
from nemo_gym.viewer.pages.query import QueryError
from nemo_gym.viewer.rollout.tokenizer import Tokenizer
from nemo_gym.viewer.serving.server import serve_viewer


class ViewerOptions(BaseModel):
    """Parameters of ng_viewer."""

    input: Path = Field(default=Path(), description="A rollout file, or a folder with collections; default: here.")
    port: int = Field(default=0, ge=0, le=65_535, description="Port on 127.0.0.1; 0: a free one.")
    tokenizer: Path | None = Field(default=None, description="A tokenizer.json, or its folder: for texts of tokens.")
    export: Path | None = Field(default=None, description="Write one HTML file that opens from disk, and end.")
    filter: str = Field(default="", description="Of the exported rollouts, as the page's filter: 'reward<1 steps>=3'.")
    limit: int = Field(default=200, ge=1, description="Export at most so many rollouts.")
    compare: Path | None = Field(default=None, description="Export a comparison with this rollout file, as baseline.")


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
    tokenizer = None if options.tokenizer is None else Tokenizer(options.tokenizer)
    if options.export is not None:
        return _export(options, options.export, tokenizer)
    if not options.input.exists():
        what = f"{options.input.absolute()} doesn't exist yet; the page shows its collections as soon as it does"
        print(what, file=sys.stderr)
    serve_viewer(options.input, options.port, say, tokenizer)
    return DONE


def _export(options: ViewerOptions, path: Path, tokenizer: Tokenizer | None) -> int:
    library = Library(options.input)
    names = library.names()
    if len(names) != 1 or not (library.folder / names[0]).exists():
        what = (
            f"{options.input} has {len(names)} collections, and one of them is exported" if names else "nothing is here"
        )
        raise ConfigError(Mistake(what, where="input", known=names[:20], fix="name one rollout file"))
    if options.compare is not None:
        check_rollout_file(options.compare, "compare")
    rollouts = library.folder / names[0]
    try:
        count = write_report(path, Exported(rollouts, options.filter, options.limit, options.compare, tokenizer))
    except QueryError as error:
        raise ConfigError(Mistake(str(error), where="filter")) from error
    except OutputError as error:
        print(f"output error: {error}", file=sys.stderr)
        return INCOMPLETE
    print(f"{count} rollouts in {path}")
    return DONE


def say(line: str) -> None:
    """Print a line at once: on a pipe, too, somebody waits for the link."""
    print(f"{line}\nCtrl-C ends it", file=sys.stdout, flush=True)
