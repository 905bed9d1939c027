"""Figures for papers: the overview's, drawn with matplotlib, for one or several collections."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.viewer.pages.histogram import Histogram
from nemo_gym.viewer.pages.overview import Overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (4.2, 2.8)
_FORMATS = ("svg", "png")
_STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "nemo-gym",  # the same figure is the same file
}


def write_plots(overviews: Mapping[str, Overview], folder: Path) -> list[Path]:
    """Write every figure that the collections have data for, as SVG and PNG; return the files.

    Args:
        overviews: By the name that the legend shows.
        folder: Must be there.

    Raises:
        ConfigError: matplotlib isn't installed.
        OSError: A file can't be written.
    """
    pyplot = _pyplot()
    written: list[Path] = []
    with pyplot.rc_context(_STYLE):
        for name, draw in _FIGURES.items():
            figure, axes = pyplot.subplots(figsize=_SIZE_INCHES, layout="constrained")
            drawn = [draw(axes, label, overview) for label, overview in overviews.items()]
            if any(drawn):
                if name in _FROM_ZERO:
                    axes.set_ylim(bottom=0)  # not before every collection is in: the limits would be the first one's
                if len(overviews) > 1:
                    axes.legend()
                written += _saved(figure, folder / name)
            pyplot.close(figure)
    return written


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        fix = "pip install 'nemo-gym[plots]'"
        raise ConfigError(
            Mistake("figures need matplotlib, which isn't installed", where="ng_plot", fix=fix)
        ) from error
    matplotlib.use("agg")  # no display is needed
    from matplotlib import pyplot

    return pyplot


def _saved(figure: Any, stem: Path) -> list[Path]:
    paths = [stem.with_suffix(f".{form}") for form in _FORMATS]
    for path in paths:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _rewards(axes: "Axes", label: str, overview: Overview) -> bool:
    if overview.rewards is None:
        return False
    _steps(axes, label, overview.rewards)
    axes.set(xlabel="reward", ylabel="share of scored rollouts")
    return True


def _pass_at_k(axes: "Axes", label: str, overview: Overview) -> bool:
    if len(overview.pass_at_k) < 2:
        return False
    ks = [int(k) for k in overview.pass_at_k]
    axes.plot(ks, list(overview.pass_at_k.values()), marker="o", label=label)
    axes.set(xlabel="k", ylabel="pass@k", ylim=(0, 1.02))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    return True


def _pass_rates(axes: "Axes", label: str, overview: Overview) -> bool:
    rates = overview.tasks.rates
    if not rates:
        return False
    last = max(len(rates) - 1, 1)
    axes.plot([place / last for place in range(len(rates))], rates, drawstyle="steps-mid", label=label)
    axes.set(xlabel="tasks, sorted", ylabel="share of rollouts that solve it", ylim=(-0.02, 1.02))
    return True


def _over_time(axes: "Axes", label: str, overview: Overview) -> bool:
    means = overview.over_time
    if len(means) < 2:
        return False
    axes.plot([place / (len(means) - 1) for place in range(len(means))], means, label=label)
    axes.set(xlabel="share of the collection", ylabel="mean reward")
    return True


def _output_tokens(axes: "Axes", label: str, overview: Overview) -> bool:
    tokens = overview.per_rollout.get("output_tokens")
    if tokens is None:
        return False
    _steps(axes, label, tokens)
    axes.set(xlabel="output tokens of a rollout", ylabel="share of scored rollouts")
    return True


def _steps(axes: "Axes", label: str, data: Histogram) -> None:
    shares = [count / data.n for count in data.counts]
    if len(data.edges) == len(data.counts):  # single values
        axes.plot(data.edges, shares, marker="o", linestyle="--", label=label)
    else:
        axes.stairs(shares, data.edges, label=label)


_FIGURES = {
    "rewards": _rewards,
    "pass_at_k": _pass_at_k,
    "pass_rates": _pass_rates,
    "reward_over_time": _over_time,
    "output_tokens": _output_tokens,
}
_FROM_ZERO = ("rewards", "output_tokens")
