"""ng_plot: every figure as SVG and PNG, one line for each collection."""

import re
from pathlib import Path

import pytest

from nemo_gym.config.reading.command_line import CommandLine
from tests.made_collections import write_collection

pytest.importorskip("matplotlib", reason="matplotlib isn't installed (the extra `plots`)")

from nemo_gym.commands.rollouts.plot import plot


def test_two_collections_are_drawn_into_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [write_collection(tmp_path / f"{name}.jsonl", seed=seed).rollouts for name, seed in (("a", 1), ("b", 2))]
    line = CommandLine({"input": [str(path) for path in paths], "output": str(tmp_path / "plots")})
    assert plot(line) == 0
    written = sorted(path.name for path in (tmp_path / "plots").iterdir())
    stems = ("output_tokens", "pass_at_k", "pass_rates", "reward_over_time", "rewards")
    assert written == [f"{stem}.{form}" for stem in stems for form in ("png", "svg")]
    assert len(capsys.readouterr().out.splitlines()) == len(written)
    svg = (tmp_path / "plots" / "rewards.svg").read_text()
    assert ">a</text>" in svg
    assert ">b</text>" in svg
    assert (tmp_path / "plots" / "rewards.png").read_bytes().startswith(b"\x89PNG")


def test_the_axes_have_room_for_every_collection_whichever_comes_first(tmp_path: Path) -> None:
    weak = write_collection(tmp_path / "weak.jsonl", skill=0.2).rollouts
    strong = write_collection(tmp_path / "strong.jsonl", skill=1.0, seed=4).rollouts
    for name, paths in {"one": [weak, strong], "other": [strong, weak]}.items():
        assert plot(CommandLine({"input": [str(path) for path in paths], "output": str(tmp_path / name)})) == 0
    for figure in (path.name for path in (tmp_path / "one").glob("*.svg")):
        one, other = (_texts(tmp_path / name / figure) for name in ("one", "other"))
        assert one == other, figure


def _texts(svg: Path) -> list[str]:
    return sorted(re.findall(r">([^<>\n]+)</text>", svg.read_text()))
