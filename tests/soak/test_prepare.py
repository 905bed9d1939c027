"""Ten times the rows are prepared in the same memory."""

import json
from pathlib import Path

import pytest

from tests.integration.data.conftest import SOURCE, configure
from tests.soak.conftest import FEW, MANY, Cost, cost_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
EXAMPLES = Path(__file__).parents[2] / "resources_servers/example_simple_weather/data/example.jsonl"
MOST_GROWTH_BYTES = 40 * 2**20


def prepare(folder: Path, count: int) -> Cost:
    """Prepare a shuffled train set of so many different tasks, as large as those of the example."""
    folder.mkdir()
    row = json.loads(EXAMPLES.read_text().splitlines()[0])
    with (folder / "train.jsonl").open("w") as file:
        for number in range(count):
            row |= {"expected_city": f"city {number}", "difficulty": number / 7, "uuid": f"{number:032x}"}
            file.write(json.dumps(row) + "\n")
    configure(folder, f"name: a, type: train, jsonl_fpath: train.jsonl, {SOURCE}")
    words = ("ng_prepare_data", "weather.yaml", "+mode=train_preparation", "+output_dirpath=out", "+seed=1")
    cost = cost_of(folder, *words)
    assert json.loads((folder / "out/train_metrics.json").read_text())["Number of examples"] == count
    print(f"\nng_prepare_data {cost.words(count)}")
    return cost


def test_a_million_rows_are_prepared_in_the_memory_of_a_hundred_thousand(tmp_path: Path) -> None:
    few, many = (prepare(tmp_path / str(count), count) for count in (FEW, MANY))
    assert many.peak_bytes - few.peak_bytes < MOST_GROWTH_BYTES
