"""Nothing is written, cut or moved before every file involved is known to belong to the collection."""

import os
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.rollouts.collection import Collection
from nemo_gym.rollouts.report import CollectionReport
from tests.unit.rollouts.conftest import Agent, MakeCollection

NOTES = b"shopping list\nmilk\nbread"
ROW = b'{"reward": 1.0, "_ng_task_index": 0, "_ng_rollout_index": 0}\n'


async def checked_run(made: Collection) -> CollectionReport:
    made.check()
    return await made.run()


async def refused(made: Collection, said: str) -> None:
    """Assert that a collection is refused in these words, and that no file around it has changed."""
    folders = {made.paths.rollouts.parent, made.input_path.parent}
    before = {path: path.read_bytes() for folder in folders for path in folder.glob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=said):
        await checked_run(made)
    after = {path: path.read_bytes() for folder in folders for path in folder.glob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("overwrite", [False, True], ids=["resume", "overwrite"])
@pytest.mark.parametrize(
    "content",
    [NOTES, b"", b'{"mine": 1}', b'{"mine": 1}\n', b"\x00" * 99],
    ids=["notes", "empty", "json", "jsonl", "nul"],
)
@pytest.mark.parametrize(
    "name",
    ["r.jsonl", "r_failures.jsonl", "r_journal.jsonl", "r_unverified.jsonl", "r_materialized_inputs.jsonl"],
)
async def test_a_file_of_somebody_else_is_left_as_it_is(
    name: str, content: bytes, overwrite: bool, agent: Agent, collection: MakeCollection
) -> None:
    made = collection(1, overwrite=overwrite)
    made.paths.rollouts.parent.mkdir()
    (made.paths.rollouts.parent / name).write_bytes(content)
    if content:
        await refused(made, rf"{name} was not written by a collector")
        assert not agent.asked
    else:
        assert (await made.run()).is_complete


@pytest.mark.parametrize("name", ["r_manifest.json", "r_metrics.json"])
@pytest.mark.parametrize("content", [b'{"mine": 1}', b"[1]", b"mine"], ids=["object", "list", "text"])
async def test_a_small_file_of_somebody_else_is_not_replaced_either(
    name: str, content: bytes, collection: MakeCollection
) -> None:
    made = collection(1, overwrite=True)
    made.paths.rollouts.parent.mkdir()
    (made.paths.rollouts.parent / name).write_bytes(content)
    await refused(made, rf"{name} was not written by a collector")


@pytest.mark.parametrize("overwrite", [False, True], ids=["resume", "overwrite"])
@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard-link", "symlink"])
@pytest.mark.parametrize("name", ["r.jsonl", "r_failures.jsonl", "r_metrics.json"])
async def test_the_input_is_never_written_by_whatever_name(
    name: str, link: Any, overwrite: bool, collection: MakeCollection
) -> None:
    made = collection(3, overwrite=overwrite)
    made.paths.rollouts.parent.mkdir()
    link(made.input_path, made.paths.rollouts.parent / name)
    await refused(made, "is the input file")


async def test_the_input_named_as_the_output_is_refused(tmp_path: Path, collection: MakeCollection) -> None:
    await refused(collection(3, output_jsonl_fpath=tmp_path / "tasks.jsonl"), "is the input file")


@pytest.mark.parametrize("name", ["r.jsonl", "r_journal.jsonl", "r_metrics.json"])
async def test_what_is_not_a_regular_file_is_refused_before_it_is_opened(name: str, collection: MakeCollection) -> None:
    made = collection(1)
    folder = made.paths.rollouts.parent
    folder.mkdir()
    for make, said in ((os.mkfifo, "is a FIFO"), (os.mkdir, "is a folder")):
        make(folder / name)
        await refused(made, said)
        (folder / name).rmdir() if make is os.mkdir else (folder / name).unlink()
    (folder / name).symlink_to("/dev/full")
    await refused(made, "is a device")


async def test_two_output_files_that_are_one_are_refused(collection: MakeCollection) -> None:
    made = collection(1)
    made.paths.rollouts.parent.mkdir()
    made.paths.rollouts.write_bytes(ROW)
    os.link(made.paths.rollouts, made.paths.failures)
    await refused(made, "are the same file")


async def test_a_name_that_leaves_no_room_for_the_files_beside_it_is_refused(
    tmp_path: Path, collection: MakeCollection
) -> None:
    for length in (300, 240):
        await refused(collection(1, output_jsonl_fpath=tmp_path / ("x" * length + ".jsonl")), "is too long")
    made = collection(1, output_jsonl_fpath=tmp_path / ("x" * 180 + ".jsonl"))
    made.check()
    await made.run()
    assert (
        await collection(1, **made.options.model_dump(include={"output_jsonl_fpath"}), overwrite=True).run()
    ).is_complete


async def test_a_collection_through_a_link_is_continued_by_a_second_name_never(collection: MakeCollection) -> None:
    made = collection(1)
    await made.run()
    alias = made.paths.rollouts.with_name("alias.jsonl")
    os.link(made.paths.rollouts, alias)
    await refused(collection(1, output_jsonl_fpath=alias), "has no manifest")


async def test_a_refused_resume_cuts_no_truncated_line(collection: MakeCollection) -> None:
    made = collection(2)
    await made.run()
    with made.paths.rollouts.open("ab") as file:
        file.write(b'{"reward": 1')
    await refused(collection(2, num_repeats=2), "num_repeats: 1 → 2")
    report = await collection(2).run()
    assert f"cut off a truncated last line: {made.paths.rollouts}" in report.notes


@pytest.mark.parametrize(
    "name", ["r_journal.jsonl", "r_failures.jsonl", "r_unverified.jsonl", "r_materialized_inputs.jsonl", "r.jsonl"]
)
@pytest.mark.parametrize(
    "line",
    [b"\x00\x00\n", b"[1]\n", b'{"_ng_task_index": "x"}\n', b'{"_ng_task_index": 0}\n', b'{"a":' * 5_000 + b"\n"],
    ids=["nul", "list", "text", "half", "deep"],
)
async def test_a_damaged_line_is_named_and_not_a_traceback(
    name: str, line: bytes, agent: Agent, collection: MakeCollection
) -> None:
    first = {
        "r_journal.jsonl": b'{"event":"dispatched","_ng_task_index":0,"_ng_rollout_index":0,"attempt":0,"at":1.0}\n',
        "r_failures.jsonl": b'{"_ng_task_index":0,"_ng_rollout_index":0,"failure_kind":"x","stage":"agent"}\n',
        "r_unverified.jsonl": b'{"_ng_task_index":0,"_ng_rollout_index":0,"verify_request":{}}\n',
        "r_materialized_inputs.jsonl": b'{"_ng_task_index":0,"_ng_rollout_index":0}\n',
        "r.jsonl": ROW,
    }
    made = collection(1)
    await made.run()
    path = made.paths.rollouts.parent / name
    path.write_bytes(first[name] + line)
    await refused(collection(1), rf"line 2 of .*{name} is (damaged|not a rollout)")
    assert (await collection(1, overwrite=True).run()).is_complete


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"schema_version": 2, "num_repeats": 1}', b"\xff"])
async def test_a_damaged_manifest_is_said_in_a_line(content: bytes, collection: MakeCollection) -> None:
    made = collection(1)
    await made.run()
    made.paths.manifest.write_bytes(content)
    await refused(collection(1), "the manifest")


async def test_the_manifest_of_another_version_is_not_taken_for_a_damaged_one(collection: MakeCollection) -> None:
    made = collection(1)
    await made.run()
    made.paths.manifest.write_bytes(b'{"schema_version": 1, "num_tasks": 1, "num_repeats": 1}')
    await refused(collection(1), "schema_version 1, and this version of nemo-gym reads 2")
    assert (await collection(1, overwrite=True).run()).is_complete
