"""Files that get their names together, or not at all."""

import sys
from pathlib import Path

import pytest

from nemo_gym.collections.drafts import Drafts, draft_path
from nemo_gym.collections.line_file import OutputBusyError, OutputError
from tests.killed_at import in_child


def test_files_appear_when_they_are_published(tmp_path: Path) -> None:
    with Drafts() as drafts:
        for name in ("a", "folder/b"):
            drafts.open(tmp_path / name).write(name.encode())
        assert not (tmp_path / "a").exists()
        drafts.publish()
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a", "b"]
    assert (tmp_path / "folder/b").read_text() == "folder/b"


def test_an_interruption_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write_and_stop() -> None:
        with Drafts() as drafts:
            drafts.open(tmp_path / "a").write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_draft_that_a_killed_process_left_is_written_anew(tmp_path: Path) -> None:
    draft_path(tmp_path / "a").write_text("half of a longer line")
    with Drafts() as drafts:
        drafts.open(tmp_path / "a").write(b"whole")
        drafts.publish()
    assert (tmp_path / "a").read_text() == "whole"


def test_two_writers_of_one_file_are_told_apart(tmp_path: Path) -> None:
    with Drafts() as first, Drafts() as second:
        first.open(tmp_path / "a").write(b"first")
        with pytest.raises(OutputBusyError):
            second.open(tmp_path / "a")
        first.publish()
    assert (tmp_path / "a").read_text() == "first"


def test_a_file_that_another_has_published_in_between_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def publish_late(event: str, _arguments: tuple[object, ...]) -> None:
        if event == "fcntl.flock":  # between opening the draft and locking it
            draft_path(path).replace(path)

    def open_draft() -> None:
        sys.addaudithook(publish_late)
        with Drafts() as drafts, pytest.raises(OutputBusyError):
            drafts.open(path)

    draft_path(path).write_text("another's")
    assert in_child(open_draft) == 0
    assert path.read_text() == "another's"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Drafts() as drafts, pytest.raises(OutputError, match="cannot make the folder"):
        drafts.open(tmp_path / "file" / "a")
