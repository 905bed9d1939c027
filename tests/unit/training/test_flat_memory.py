"""A million rollouts, exported in memory that grows by some tens of bytes for each: run by hand, `-m soak -s`."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.training.conftest import rollout, with_tokens

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
ROLLOUTS = int(os.environ.get("NEMO_GYM_SOAK_ROLLOUTS", "1000000"))
REPEATS = 4
FLOOR_BYTES, BYTES_PER_ROLLOUT = 150 * 2**20, 200

EXPORT = """
import resource, sys
from nemo_gym.training.export import export
from nemo_gym.training.options import ExportOptions
form, source, output = sys.argv[1:]
manifest = export(ExportOptions(format=form, input_jsonl_fpath=source, output_fpath=output))
used = resource.getrusage(resource.RUSAGE_SELF)
print(manifest.rows, used.ru_maxrss * 1024, round(used.ru_utime + used.ru_stime))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small rollouts with token data, in a random order of their tasks, as they end when thousands run at once."""
    path = tmp_path_factory.mktemp("soak") / "rollouts.jsonl"
    places = list(range(ROLLOUTS))
    random.Random(0).shuffle(places)
    template = json.dumps(with_tokens(rollout(0, 0, text="@")))
    with path.open("w") as file:
        for place in places:
            task, repeat = divmod(place, REPEATS)
            line = template.replace('"@"', f'"answer {repeat}"').replace("call_0_0", f"call_{place}")
            line = line.replace("Task 0?", f"Task {task}?").replace('"reward": 1.0', f'"reward": {float(repeat % 2)}')
            line = line.replace('"_ng_task_index": 0', f'"_ng_task_index": {task}')
            file.write(line.replace('"_ng_rollout_index": 0', f'"_ng_rollout_index": {repeat}') + "\n")
    return path


@pytest.mark.parametrize(
    "name", ["sft.jsonl", "preference.jsonl", "kto.jsonl", "rl.jsonl", "sft.parquet", "rl.parquet"]
)
def test_export_takes_some_tens_of_bytes_for_each_rollout(source: Path, name: str) -> None:
    output = source.with_name(name)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, name.partition(".")[0], source, output],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds = time.monotonic() - began
    rows, peak, cpu_s = map(int, done.stdout.split())
    output.unlink()
    print(f"\n{name}: {rows:,} rows, {seconds:,.0f} s, {cpu_s:,} s of CPU, peak {peak / 2**20:,.0f} MiB")
    assert peak < FLOOR_BYTES + BYTES_PER_ROLLOUT * ROLLOUTS
