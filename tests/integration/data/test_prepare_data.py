"""ng_prepare_data as a person runs it: what is written, what is refused, and that it is the same every time."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.bounds import HANGS_AFTER_S
from tests.integration.conftest import BIN, ROOT, Command
from tests.integration.data.conftest import SOURCE, configure, read_jsonl, task, write_jsonl

TRAIN = ("ng_prepare_data", "weather.yaml", "+mode=train_preparation", "+output_dirpath=out")
EXAMPLES = ("ng_prepare_data", "weather.yaml", "+mode=example_validation", "+output_dirpath=out")


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def two_sets(project: Path) -> Path:
    """Two train datasets and a validation dataset; returns the project."""
    write_jsonl(project / "data/a.jsonl", [task(n, origin="a") for n in range(30)])
    write_jsonl(project / "data/b.jsonl", [task(n, origin="b") for n in range(20)])
    write_jsonl(project / "data/v.jsonl", [task(n) for n in range(5)])
    configure(
        project,
        f"name: a, type: train, jsonl_fpath: data/a.jsonl, num_repeats: 2, {SOURCE}",
        f"name: b, type: train, jsonl_fpath: data/b.jsonl, {SOURCE}",
        f"name: v, type: validation, jsonl_fpath: data/v.jsonl, {SOURCE}",
    )
    return project


def test_sets_are_in_the_order_of_the_configuration_with_repeats_and_agents(command: Command, two_sets: Path) -> None:
    done = command(*TRAIN)
    assert done.status == 0, done.err
    rows = read_jsonl(two_sets / "out/train.jsonl")
    expected = [("a", n) for n in range(30) for _ in range(2)] + [("b", n) for n in range(20)]
    assert [(row["origin"], row["number"]) for row in rows] == expected
    assert {row["agent_ref"]["name"] for row in rows} == {"weather_agent"}
    assert len(read_jsonl(two_sets / "out/validation.jsonl")) == 5
    assert len(read_jsonl(two_sets / "data/a_prepare.jsonl")) == 60
    metrics = json.loads((two_sets / "out/train_metrics.json").read_text())
    assert (metrics["Number of examples"], metrics["Prepared"]["rows"]) == (50, 80)
    assert [part["license"] for part in metrics["Prepared"]["datasets"]] == ["Apache 2.0", "Apache 2.0"]


def test_prepared_twice_everything_has_the_same_bytes(command: Command, two_sets: Path) -> None:
    assert command(*TRAIN, "+seed=3").status == 0
    first = files_in(two_sets)
    assert command(*TRAIN, "+seed=3").status == 0
    assert files_in(two_sets) == first
    assert command(*TRAIN, "+seed=4").status == 0
    assert (two_sets / "out/train.jsonl").read_bytes() != first["out/train.jsonl"]


def test_a_shuffled_set_has_the_same_rows_and_repeats_side_by_side(command: Command, two_sets: Path) -> None:
    assert command(*TRAIN, "+seed=3").status == 0
    rows = [(row["origin"], row["number"]) for row in read_jsonl(two_sets / "out/train.jsonl")]
    assert Counter(rows) == Counter([("a", n) for n in range(30)] * 2 + [("b", n) for n in range(20)])
    assert all(rows.index(row) + 1 == len(rows) - 1 - rows[::-1].index(row) for row in rows if row[0] == "a")


def test_weights_decide_the_proportions(command: Command, two_sets: Path) -> None:
    configure(
        two_sets,
        f"name: a, type: train, jsonl_fpath: data/a.jsonl, weight: 1, {SOURCE}",
        f"name: b, type: train, jsonl_fpath: data/b.jsonl, weight: 2, {SOURCE}",
    )
    assert "+seed=0" in command(*TRAIN).err
    done = command(*TRAIN, "+seed=3")
    assert done.status == 0, done.err
    rows = Counter(row["origin"] for row in read_jsonl(two_sets / "out/train.jsonl"))
    assert rows == {"a": 10, "b": 20}
    assert "10 of 30 tasks" in done.out


def test_a_set_that_changed_is_a_conflict_said_field_by_field(command: Command, two_sets: Path) -> None:
    assert command(*TRAIN).status == 0
    before = files_in(two_sets / "out")
    recorded = (two_sets / "data/b_metrics.json").read_bytes()
    write_jsonl(two_sets / "data/b.jsonl", [task(n, origin=f"b{n}") for n in range(21)])
    done = command(*TRAIN)
    assert done.status == 2
    assert "Number of examples: recorded 20, now 21" in done.err
    assert "origin.unique_count: recorded 1, now 21" in done.err
    assert (files_in(two_sets / "out"), (two_sets / "data/b_metrics.json").read_bytes()) == (before, recorded)
    assert json.loads((two_sets / "data/b_metrics_conflict.json").read_text())["Number of examples"] == 21
    accepted = command(*TRAIN, "+overwrite_metrics_conflicts=true")
    assert accepted.status == 0
    assert "replaced the metrics recorded in data/b_metrics.json" in accepted.out
    assert not (two_sets / "data/b_metrics_conflict.json").exists()


def test_every_wrong_row_is_said_with_file_and_line_and_nothing_is_written(command: Command, two_sets: Path) -> None:
    bad = two_sets / "data/b.jsonl"
    bad.write_text(bad.read_text() + "{nope\n\n" + json.dumps({"responses_create_params": {"input": 3}}) + "\n")
    before = files_in(two_sets)
    done = command(*TRAIN)
    assert done.status == 2
    assert "line 21 isn't valid JSON" in done.err
    assert "line 23 has a responses_create_params.input that is neither text nor a list of items" in done.err
    assert f"where: {bad}" in done.err
    assert files_in(two_sets) == before


def test_tools_that_the_environment_lacks_are_found_without_a_run(command: Command, project: Path) -> None:
    wrong = {"type": "function", "name": "get_wether", "parameters": None, "strict": None}
    rows = [{"responses_create_params": {"input": "?", "tools": [wrong]}}]
    write_jsonl(project / "data/example.jsonl", rows)
    configure(project, "name: example, type: example, jsonl_fpath: data/example.jsonl")
    done = command(*EXAMPLES)
    assert done.status == 2
    assert "declares tools that example_simple_weather doesn't have: get_wether" in done.err
    assert "did you mean 'get_weather'?" in done.err
    assert command(*EXAMPLES, "+check_environments=false").status == 1  # one example, and no rollouts


def test_fields_that_the_verifier_asks_for_are_missed(command: Command, project: Path) -> None:
    config = str(ROOT / "resources_servers/example_room_booking/configs/room_booking.yaml")
    write_jsonl(project / "resources_servers/example_room_booking/data/train.jsonl", [task(0)])
    agent = "room_booking_simple_agent.responses_api_agents.simple_agent.datasets"
    path = "resources_servers/example_room_booking/data/train.jsonl"
    entry = f"[{{name:t,type:train,jsonl_fpath:{path},license:MIT,huggingface_identifier:{{repo_id:a/b}}}}]"
    done = command("ng_prepare_data", config, "+mode=train_preparation", "+output_dirpath=out", f"{agent}={entry}")
    assert done.status == 2
    assert "line 1 lacks expected_rooms, which the verifier of example_room_booking needs" in done.err


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        pytest.param(f"name: a, type: train, jsonl_fpath: none.jsonl, {SOURCE}", "+should_download=true", id="missing"),
        pytest.param("name: a, type: train, jsonl_fpath: data/a.jsonl", "has no license", id="no-license"),
        pytest.param("name: a, type: example, jsonl_fpath: data/a.jsonl", "no agent has a dataset of type", id="type"),
        pytest.param(f"name: a, type: train, jsonl_fpath: data, {SOURCE}", "is a folder, not a task file", id="folder"),
        pytest.param(f"name: a, type: train, jsonl_fpath: data/pipe, {SOURCE}", "is a FIFO", id="pipe"),
        pytest.param(f"name: a, type: train, jsonl_fpath: empty.jsonl, {SOURCE}", "holds no task", id="empty"),
        pytest.param(f"name: a, type: train, jsonl_fpath: out/train.jsonl, {SOURCE}", "overwritten", id="own-output"),
    ],
)
def test_what_cannot_be_prepared_is_refused(command: Command, two_sets: Path, dataset: str, said: str) -> None:
    os.mkfifo(two_sets / "data/pipe")
    (two_sets / "empty.jsonl").write_text("\n\n")
    write_jsonl(two_sets / "out/train.jsonl", [task(0)])
    configure(two_sets, dataset)
    done = command(*TRAIN)
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert read_jsonl(two_sets / "out/train.jsonl") == [task(0)]


def test_memory_is_the_same_for_ten_times_the_rows(project: Path, environment: dict[str, str]) -> None:
    configure(project, f"name: a, type: train, jsonl_fpath: data/a.jsonl, {SOURCE}")
    peaks = []
    for count in (8_000, 80_000):
        write_jsonl(project / "data/a.jsonl", [task(n, uuid=f"{n:032x}", x=n / 7) for n in range(count)])
        (project / "data/a_metrics.json").unlink(missing_ok=True)
        peaks.append(peak_kb(project, environment))
    few, many = peaks
    assert many - few < 40_000  # 80,000 rows are 16 MB as text, and ten times that as objects


def peak_kb(project: Path, environment: dict[str, str]) -> int:
    """Prepare, and return the largest resident memory of the command, in kilobytes."""
    code = """if True:
        import resource, subprocess, sys
        subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    """
    words = [str(BIN / "python"), "-c", code, str(BIN / TRAIN[0]), *TRAIN[1:], "+seed=1", "+check_environments=false"]
    out = subprocess.run(
        words, cwd=project, env=environment, capture_output=True, text=True, check=True, timeout=4 * HANGS_AFTER_S
    )
    return int(out.stdout)


def is_server(config: Path) -> bool:
    return "\n  resources_servers:" in config.read_text()


def test_the_examples_of_every_environment_are_whole_and_are_what_their_metrics_say(
    command: Command, project: Path
) -> None:
    folders = sorted(path.parent for path in ROOT.glob("resources_servers/*/configs"))
    configs = [next(path for path in sorted(folder.glob("configs/*.yaml")) if is_server(path)) for folder in folders]
    measured = [folder / "data/example_metrics.json" for folder in folders]
    before = [path.read_bytes() for path in measured]
    done = command("ng_prepare_data", *map(str, configs), "+mode=example_validation", "+output_dirpath=out")
    assert (done.status, done.err) == (0, "")
    assert len(read_jsonl(project / "out/example.jsonl")) == 5 * len(folders)
    assert [path.read_bytes() for path in measured] == before
