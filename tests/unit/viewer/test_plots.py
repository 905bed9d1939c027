"""ng_plot: every figure as SVG and PNG, one line for each collection."""

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
