"""A preparation that is killed: what its folder then holds."""

import hashlib
import json
import signal
from pathlib import Path

from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.config.schema import DatasetConfig
from nemo_gym.data.prepare.options import PrepareOptions
from nemo_gym.data.prepare.preparation import Preparation
from tests.killed_at import killed_at


def prepare(folder: Path, questions: str) -> None:
    """Prepare a train and a validation set with a task for each letter."""
    scope = []
    for kind in ("train", "validation"):
        path = folder / f"{kind}_data.jsonl"
        path.write_text("".join(f'{{"responses_create_params": {{"input": "{each}?"}}}}\n' for each in questions))
        config = DatasetConfig.model_validate({"name": kind, "type": kind, "jsonl_fpath": path.name})
        scope.append(ConfiguredDataset("agent", config, path, "", ()))
    options = PrepareOptions(
        mode="train_preparation", output_dirpath=folder / "out", seed=1, overwrite_metrics_conflicts=True
    )
    Preparation(options, scope, lambda _: []).run()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_preparation_that_is_killed_anywhere_leaves_whole_sets_and_no_metrics_of_others(tmp_path: Path) -> None:
    prepare(tmp_path, "xyz")
    new, out = contents(tmp_path), tmp_path / "out"
    prepare(tmp_path, "ab")
    old, status, change = contents(tmp_path), -1, 0
    while status:
        prepare(tmp_path, "ab")
        status = killed_at(change, lambda: prepare(tmp_path, "xyz"))
        assert status in (0, -signal.SIGKILL)
        for kind in ("train", "validation"):
            rows, metrics = out / f"{kind}.jsonl", out / f"{kind}_metrics.json"
            assert rows.read_bytes() in (old[rows.name], new[rows.name])
            if metrics.exists():
                about = json.loads(metrics.read_text())["Prepared"]
                assert about["sha256"] == hashlib.sha256(rows.read_bytes()).hexdigest()
        prepare(tmp_path, "xyz")
        assert contents(tmp_path) == new
        change += 1
    assert change > 8  # two sets, two copies beside the data, and the metrics of each
