from pathlib import Path

import pytest

from nemo_gym.collections.line_file import (
    LineFile,
    OutputBusyError,
    OutputError,
    read_line_at,
    read_lines,
    read_placed_lines,
)


@pytest.mark.parametrize(
    ("before", "whole"),
    [
        pytest.param(b'{"a":1}\n{"a":', b'{"a":1}\n', id="torn"),
        pytest.param(b'{"a":', b"", id="torn-first-line"),
        pytest.param(b'{"a":1}\n' + b"x" * 200_000, b'{"a":1}\n', id="torn-over-several-blocks"),
        pytest.param(b'{"a":1}\n', b'{"a":1}\n', id="whole"),
        pytest.param(b"", b"", id="empty"),
    ],
)
def test_a_torn_last_line_is_cut_off_when_the_file_is_opened(before: bytes, whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(before)
    with LineFile(path) as file:
        assert file.torn_bytes == len(before) - len(whole)
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
    assert list(read_placed_lines(path)) == [(0, {"a": 1}), (8, {"a": 2})]
    assert read_line_at(path, 8) == {"a": 2}
    assert list(read_lines(tmp_path / "none.jsonl")) == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a":1}\n\x00\x00\n{"a":2}\n')
    with pytest.raises(OutputError, match=r"line 2 of .*r\.jsonl is damaged"):
        list(read_lines(path))
