"""A preparation that is killed, or has no room: what its folder then holds."""

import hashlib
import json
import resource
import signal
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nemo_gym.collections.line_file import OutputError
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


@contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """Let writes fail beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_preparation_without_room_for_its_rows_leaves_what_was_there(tmp_path: Path) -> None:
    prepare(tmp_path, "ab")
    before = contents(tmp_path / "out")
    with no_file_larger_than(2_500), pytest.raises(OutputError, match=r"cannot write .*train_data_prepare\.jsonl"):
        prepare(tmp_path, string.ascii_letters)  # whose data has room, but not with the agent's name in each row
    assert contents(tmp_path / "out") == before
    assert not [name for name in contents(tmp_path) if name.startswith(".")]


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
