import os
from pathlib import Path

import pytest

from nemo_gym.collections.line_file import (
    LineFile,
    OutputBusyError,
    OutputError,
    ReadingStopped,
    iter_lines,
    line_at,
    read_lines,
    until_stopped,
)


@pytest.mark.parametrize(
    ("before", "whole"),
    [
        pytest.param(b'{"a":1}\n{"a":', b'{"a":1}\n', id="truncated"),
        pytest.param(b'{"a":', b"", id="truncated-first-line"),
        pytest.param(b'{"a":1}\n' + b"x" * 200_000, b'{"a":1}\n', id="truncated-over-several-blocks"),
        pytest.param(b'{"a":1}\n', b'{"a":1}\n', id="whole"),
        pytest.param(b"", b"", id="empty"),
    ],
)
def test_a_truncated_last_line_is_cut_off_when_asked_for_and_not_before(
    before: bytes, whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(before)
    with LineFile(path) as file:
        assert path.read_bytes() == before
        assert file.drop_truncated_line() == len(before) - len(whole)
        assert path.read_bytes() == whole
        file.append({"b": 2})
    assert path.read_bytes() == whole + b'{"b":2}\n'


def test_a_second_writer_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    with LineFile(tmp_path / "r.jsonl"), pytest.raises(OutputBusyError):
        LineFile(tmp_path / "r.jsonl")
    LineFile(tmp_path / "r.jsonl").close()


def test_a_file_that_cannot_be_opened_is_an_output_error_that_names_it() -> None:
    with pytest.raises(OutputError, match=r"cannot write /nowhere/r\.jsonl: No such file"):
        LineFile(Path("/nowhere/r.jsonl"))


def test_lines_are_read_back_also_one_alone_by_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}\n{"a":')
    assert list(read_lines(path)) == [{"a": 1}, {"a": 2}]
    assert [(line.offset, line.end, line.number) for line in iter_lines(path)] == [(0, 8, 1), (8, 16, 2)]
    assert line_at(path, 8).text == b'{"a":2}'
    assert list(read_lines(tmp_path / "none.jsonl")) == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a":1}\n\x00\x00\n{"a":2}\n')
    with pytest.raises(OutputError, match=r"line 2 of .*r\.jsonl is damaged"):
        list(read_lines(path))


def test_a_last_line_that_only_lacks_its_line_end_is_kept_and_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}')
    assert list(read_lines(path)) == [{"a": 1}, {"a": 2}]
    with LineFile(path) as file:
        assert file.drop_truncated_line() == 0
        file.append({"a": 3})
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n{"a":3}\n'


def test_appending_to_a_file_that_was_never_repaired_does_not_join_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":')
    with LineFile(path) as file:
        file.append({"b": 2})
    assert list(read_lines(path)) == [{"a": 1}, {"b": 2}]


def test_a_fifo_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/full")):
        with pytest.raises(OutputError, match="not a regular file"):
            LineFile(path)


def test_a_second_writer_by_way_of_a_link_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    (tmp_path / "link").symlink_to(path)
    with LineFile(path), pytest.raises(OutputBusyError):
        LineFile(tmp_path / "link")


def test_reading_ends_soon_after_a_stop() -> None:
    items = iter(range(1_000))
    with pytest.raises(ReadingStopped):
        list(until_stopped(items, lambda: True))
    assert next(items) <= 64
