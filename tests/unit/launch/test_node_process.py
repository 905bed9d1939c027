"""A process on a node: what it is told of its run, and what the node has of others."""

from pathlib import Path

import pytest

from nemo_gym.launch.ray.node_process import NodeProcess, StartOrder

_PRINTS = "import os; print(os.environ['NEMO_GYM_RUN_TOKEN'], 'NEMO_GYM_RUN_CA' in os.environ)"


async def test_what_the_node_was_told_of_another_run_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_GYM_RUN_CA", "of-another-run.pem")
    monkeypatch.setenv("NEMO_GYM_RUN_TOKEN", "another")
    (tmp_path / "app.py").write_text(_PRINTS)
    process = NodeProcess(tmp_path)
    await process.start(StartOrder({"server": "app.py"}, False, "", {"NEMO_GYM_RUN_TOKEN": "own"}))
    seen, lines = 0, list[str]()
    while True:
        news = await process.news(seen)
        lines += news.lines
        seen = news.number
        if news.end is not None and not news.lines:
            break
    assert lines == ["own False"]
