"""An export as a whole: what is refused, what is said, and that nothing half-written is left."""

import hashlib
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.collections.drafts import Drafts
from nemo_gym.collections.line_file import OutputError
from nemo_gym.config.errors import ConfigError
from nemo_gym.training.export import export
from nemo_gym.training.formats.digest_set import DigestSet
from nemo_gym.training.manifest import manifest_path
from nemo_gym.training.options import ExportOptions
from nemo_gym.training.row_file import row_file
from tests.killed_at import killed_at
from tests.unit.training.conftest import Export, Row, masked, read, rollout, with_tokens, write


def of_model(row: Row, model: str) -> Row:
    return {**row, "response": {**row["response"], "model": model}}


def run(source: Path, output: Path, form: str = "sft", **options: Any) -> None:
    export(
        ExportOptions.model_validate({"format": form, "input_jsonl_fpath": source, "output_fpath": output, **options})
    )


def test_masked_rollouts_are_counted_and_left_out(exported: Export) -> None:
    rows, manifest = exported([rollout(0, 0), masked(rollout(0, 1, text="b"))], "sft")
    assert (len(rows), manifest.left_out) == (1, {"masked": 1})
    assert manifest.left_out_examples == {"masked": "task 0, repeat 1: tool_error"}


def test_rollouts_of_two_models_are_refused_and_both_are_named(exported: Export, tmp_path: Path) -> None:
    rows = [of_model(rollout(0, 0), "new"), of_model(rollout(0, 1, text="b"), "old")]
    with pytest.raises(
        ConfigError, match=r"more than one model: 'new' \(task 0, repeat 0\) and 'old'(.*\n)*.*\+model="
    ):
        exported(rows, "sft")
    assert list((tmp_path / "out").iterdir()) == []
    exports, manifest = exported(rows, "sft", model="old")
    assert ([row["rollout_index"] for row in exports], manifest.left_out) == ([1], {"other_model": 1})


def test_of_a_place_that_was_written_twice_the_last_row_counts(exported: Export) -> None:
    rows, manifest = exported([rollout(0, 0, text="first"), rollout(0, 0, text="second")], "sft")
    assert [row["messages"][-1]["content"] for row in rows] == ["second"]
    assert manifest.left_out == {"superseded": 1}


def test_an_export_of_nothing_is_refused_and_says_what_was_left_out(exported: Export, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of 2 rollouts can be exported as rl: 1 masked, 1 no_token_data"):
        exported([masked(rollout(0, 0)), rollout(0, 1)], "rl")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"margin": 0.1}, "margin is for format=preference, not for format=sft"),
        ({"output_fpath": "export.csv"}, "should end in .jsonl or .parquet"),
        ({"best_of": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Row, said: str) -> None:
    given = {"format": "sft", "input_jsonl_fpath": "a", "output_fpath": "b.jsonl", **options}
    with pytest.raises(ValueError, match=said):
        ExportOptions.model_validate(given)


def test_an_existing_output_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    source, output = write(tmp_path / "r.jsonl", [rollout(0, 0)]), tmp_path / "out.jsonl"
    output.write_text("mine")
    with pytest.raises(ConfigError, match=r"out.jsonl exists"):
        run(source, output)
    assert output.read_text() == "mine"
    run(source, output, overwrite=True)
    assert len(read(output)) == 1


def test_a_file_of_the_collection_is_never_the_output_by_whatever_name(tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", [rollout(0, 0)])
    (tmp_path / "link.jsonl").symlink_to(source)
    for name in ("r.jsonl", "link.jsonl"):
        with pytest.raises(ConfigError, match="it would be overwritten"):
            run(source, tmp_path / name, overwrite=True)
    assert read(source) == [rollout(0, 0)]


def write_to_a_full_disk(path: Path) -> None:
    with Drafts() as drafts:
        file = drafts.open(path)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        with row_file(file, path, {"text": "text"}) as rows:
            for number in range(5_000):
                rows.write({"text": f"{number}" * 100})
            rows.finish()
        drafts.publish()


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_write_that_fails_leaves_the_old_output_and_no_draft(tmp_path: Path, ending: str) -> None:
    old = tmp_path / f"a.{ending}"
    old.write_text("old")
    with pytest.raises(OutputError, match=r"cannot write .*No space left"):
        write_to_a_full_disk(old)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(old.name, "old")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def exports(folder: Path) -> Callable[[float], None]:
    """Return what exports a rollout of a reward; other rewards give other files."""

    def of(reward: float) -> None:
        run(write(folder / "r.jsonl", [rollout(0, 0, reward)]), folder / "out/a.jsonl", overwrite=True)

    return of


def test_an_export_that_is_killed_anywhere_leaves_no_manifest_of_another_file(tmp_path: Path) -> None:
    export_of, out = exports(tmp_path), tmp_path / "out"
    status, change = -1, 0
    while status:
        export_of(0.0)
        status = killed_at(change, lambda: export_of(1.0))
        assert status in (0, -signal.SIGKILL)
        assert [row["reward"] for row in read(out / "a.jsonl")] in ([0.0], [1.0])
        if manifest_path(out / "a.jsonl").exists():
            manifest = json.loads(manifest_path(out / "a.jsonl").read_text())
            assert manifest["sha256"] == hashlib.sha256((out / "a.jsonl").read_bytes()).hexdigest()
        export_of(1.0)
        assert sorted(contents(out)) == ["a.jsonl", "a.jsonl.manifest.json"]
        change += 1
    assert change > 3  # it removes the old manifest, and renames two files


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_names_are_given_leaves_the_old_export_or_the_new_one(
    tmp_path: Path, number: signal.Signals
) -> None:
    export_of, out = exports(tmp_path), tmp_path / "out"
    export_of(1.0)
    new = contents(out)
    export_of(0.0)
    old, status, change = contents(out), -1, 0
    while status:
        status = killed_at(change, lambda: export_of(1.0), number)
        assert status in (0, 130, -signal.SIGTERM)
        assert contents(out) in (old, new)
        change += 1
    assert contents(out) == new


def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", [rollout(0, 0)])
    with source.open("a") as file:
        file.write("not JSON\n")
    with pytest.raises(
        ConfigError, match=r"(?s)1 lines of .* aren't rollouts, the first at byte \d+.*name the rollout file"
    ):
        run(source, tmp_path / "out.jsonl")


def test_a_line_that_is_still_being_written_is_no_rollout_yet(tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", [rollout(0, 0)])
    with source.open("a") as file:
        file.write(json.dumps(rollout(0, 1))[:40])
    run(source, tmp_path / "out.jsonl")
    assert len(read(tmp_path / "out.jsonl")) == 1


def test_the_manifest_of_an_export_names_no_place_and_no_time(tmp_path: Path) -> None:
    run(write(tmp_path / "r.jsonl", [rollout(0, 0)]), tmp_path / "out.jsonl")
    text = manifest_path(tmp_path / "out.jsonl").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["source"]["name"] == "r.jsonl"


def test_long_token_arrays_change_nothing_about_a_conversation(exported: Export) -> None:
    plain, _ = exported([rollout(0, 0)], "sft")
    with_arrays, _ = exported([with_tokens(rollout(0, 0), prompt=5_000, generated=5_000)], "sft")
    assert plain == with_arrays


def test_digest_set_knows_what_it_has_seen_while_it_grows() -> None:
    texts = [random.Random(number).randbytes(8) for number in range(5_000)]
    seen = DigestSet()
    assert all(seen.add(text) for text in texts)
    assert not any(seen.add(text) for text in texts)
    assert len(seen) == 5_000
