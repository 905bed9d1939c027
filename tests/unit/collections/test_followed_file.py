"""A file that grows is read on from where reading had stopped; a line being written isn't read over and over."""

import threading
from pathlib import Path

import pytest

from nemo_gym.collections.reading.followed_file import FileChange, FollowedFile

_IO = Path(f"/proc/self/task/{threading.get_native_id()}/io")


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def bytes_read() -> int:
    """Return how many bytes this thread has asked the kernel for so far."""
    return int(Path(f"/proc/self/task/{threading.get_native_id()}/io").read_text().split()[1])


@pytest.fixture
def file(tmp_path: Path) -> FollowedFile:
    return FollowedFile(tmp_path / "rows.jsonl")


def texts(file: FollowedFile) -> list[bytes]:
    return [line.text for line in file.read_on()]


@pytest.mark.skipif(not _IO.exists(), reason="the kernel doesn't count what a thread reads")
@pytest.mark.parametrize("end", [b"x", b"}"], ids=["text", "braces"])
def test_a_long_line_that_is_written_in_pieces_is_read_about_twice_and_not_once_a_look(
    file: FollowedFile, end: bytes
) -> None:
    piece = b"x" * 99_999 + end
    append(file.path, b'{"text": "')
    before = bytes_read()
    for _ in range(100):
        append(file.path, piece)
        assert texts(file) == []
    append(file.path, b'"}\n')
    assert [len(text) for text in texts(file)] == [10_000_012]
    assert bytes_read() - before < 50_000_000  # each look from the start would be 500 MB


def test_a_last_line_without_its_end_counts_once_it_is_whole_json(file: FollowedFile) -> None:
    append(file.path, b'{"a": 1}\n{"b": {}')
    assert texts(file) == [b'{"a": 1}']
    assert texts(file) == []
    append(file.path, b"}")
    assert texts(file) + texts(file) == [b'{"b": {}}']
    append(file.path, b'\n{"c": 3}\n')
    assert texts(file) == [b'{"c": 3}']
    assert file.change() is FileChange.SAME


def test_a_truncated_line_that_a_resume_replaces_with_shorter_ones_is_not_waited_for(file: FollowedFile) -> None:
    append(file.path, b'{"a": 1}\n{"b": "' + b"x" * 1_000)
    assert texts(file) == [b'{"a": 1}']
    file.path.write_bytes(b'{"a": 1}\n{"b": 2}\n')
    assert texts(file) == [b'{"b": 2}']
    append(file.path, b'{"c": "' + b"x" * 10)
    assert texts(file) == []
    file.path.write_bytes(b'{"a": 1}\n{"b": 2}\n{"c": 3}\n{"d": "' + b"x" * 10)
    assert texts(file) == [b'{"c": 3}']


def test_what_is_read_in_steps_is_the_whole(file: FollowedFile) -> None:
    append(file.path, b"".join(b'{"n": %d}\n' % number for number in range(50)) + b'{"n": 5')
    steps = []
    while step := [line.number for line in file.read_on(max_bytes=100)]:
        steps.append(step)
    assert len(steps) > 3
    assert [number for step in steps for number in step] == list(range(1, 51))
