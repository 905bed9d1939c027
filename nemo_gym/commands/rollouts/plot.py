"""Write the figures of one or several collections as SVG and PNG: rewards, pass@k, pass rates, tokens."""

import sys
from pathlib import Path

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.pages.overview import overview_of
from nemo_gym.viewer.plots import write_plots


class PlotOptions(BaseModel):
    """Parameters of ng_plot."""

    input: Path | list[Path] = Field(description="A rollout file, or several: '+input=[a.jsonl,b.jsonl]'.")
    output: Path = Field(default=Path("plots"), description="Folder for the figures.")


def main() -> None:
    """Entry point of ng_plot."""
    run_command("ng_plot", __doc__ or "", PlotOptions, plot)


def plot(command_line: CommandLine) -> int:
    """Write the figures; return the exit status."""
    require_known(PlotOptions, command_line)
    options = read_options(PlotOptions, command_line.overrides)
    paths = options.input if isinstance(options.input, list) else [options.input]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ConfigError(
            *(Mistake(f"{path} isn't a file", where="input", fix="name rollout files") for path in missing)
        )
    overviews = {}
    for path in paths:
        follower = Follower(path)
        follower.catch_up()
        label = str(path) if len({other.stem for other in paths}) < len(paths) else path.stem
        overviews[label] = overview_of(follower)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        written = write_plots(overviews, options.output)
    except OSError as error:
        print(f"output error: cannot write {options.output}: {error.strerror}", file=sys.stderr)
        return INCOMPLETE
    print("\n".join(map(str, written)) if written else "no scored rollouts: nothing to draw")
    return DONE
