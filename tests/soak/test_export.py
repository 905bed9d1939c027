"""Ten times the rollouts are exported in memory that grows by some tens of bytes for each: the index.

However long they are, no more than some megabytes of them are held for a row group of Parquet.
"""

import json
import random
from pathlib import Path

import pytest

from tests.soak.conftest import FEW, MANY, cost_of
from tests.unit.training.conftest import rollout, with_tokens

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
REPEATS = 4
MOST_BYTES_PER_ROLLOUT = 60
MOST_ROWS_AT_ONCE = 2_000
LONG_CHARS = 200_000
FEW_LONG, MANY_LONG = 400, 4_000


def write_rollouts(path: Path, count: int, chars: int = 0) -> None:
    """Small rollouts with token data, in a random order of their tasks, as they end when thousands run at once."""
    places = list(range(count))
    random.Random(0).shuffle(places)
    template = json.dumps(with_tokens(rollout(0, 0, text="@")))
    with path.open("w") as file:
        for place in places:
            task, repeat = divmod(place, REPEATS)
            line = template.replace('"@"', f'"answer {repeat}{"." * chars}"').replace("call_0_0", f"call_{place}")
            line = line.replace("Task 0?", f"Task {task}?").replace('"reward": 1.0', f'"reward": {float(repeat % 2)}')
            line = line.replace('"_ng_task_index": 0', f'"_ng_task_index": {task}')
            file.write(line.replace('"_ng_rollout_index": 0', f'"_ng_rollout_index": {repeat}') + "\n")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Rollout files by the number of their rollouts."""
    folder = tmp_path_factory.mktemp("soak")
    paths = {count: folder / f"rollouts_{count}.jsonl" for count in (FEW, MANY)}
    for count, path in paths.items():
        write_rollouts(path, count)
    return paths


def most_rows_at_once(path: Path) -> int:
    """Return the rows of the largest row group."""
    metadata = pytest.importorskip("pyarrow.parquet").read_metadata(path)
    return max(metadata.row_group(place).num_rows for place in range(metadata.num_row_groups))


@pytest.mark.parametrize(
    "name", ["sft.jsonl", "preference.jsonl", "kto.jsonl", "rl.jsonl", "sft.parquet", "rl.parquet"]
)
def test_exports_of_a_million_take_some_tens_of_bytes_more_for_each(sources: dict[int, Path], name: str) -> None:
    peaks = []
    for count, source in sources.items():
        output = source.with_name(name)
        form = f"format={output.stem}"
        cost = cost_of(source.parent, "ng_export", form, f"input_jsonl_fpath={source}", f"output_fpath={output}")
        manifest = output.with_name(f"{name}.manifest.json")
        assert json.loads(manifest.read_text())["rollouts"] == count
        if output.suffix == ".parquet":
            assert most_rows_at_once(output) <= MOST_ROWS_AT_ONCE
        output.unlink()
        manifest.unlink()
        print(f"\nng_export {name} {cost.words(count)}")
        peaks.append(cost.peak_bytes)
    few, many = peaks
    assert many - few < MOST_BYTES_PER_ROLLOUT * (MANY - FEW)


def test_exports_of_long_rollouts_take_no_more_memory_for_ten_times_as_many(tmp_path: Path) -> None:
    peaks = []
    for count in (FEW_LONG, MANY_LONG):
        source, output = tmp_path / f"long_{count}.jsonl", tmp_path / f"long_{count}.parquet"
        write_rollouts(source, count, LONG_CHARS)
        arguments = (f"input_jsonl_fpath={source}", f"output_fpath={output}", "deduplicate=false")
        cost = cost_of(tmp_path, "ng_export", "format=sft", *arguments)
        print(f"\nng_export sft.parquet, {LONG_CHARS:,} characters each, {cost.words(count)}")
        peaks.append(cost.peak_bytes)
        source.unlink()
    assert peaks[1] - peaks[0] < 40 * 2**20
