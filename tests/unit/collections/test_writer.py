from pathlib import Path

import pytest

from nemo_gym.collections.files import OutputPaths, check_output_path, write_json
from nemo_gym.collections.line_file import OutputError
from nemo_gym.collections.writing.writer import Output
from nemo_gym.config.errors import ConfigError


def test_files_that_nothing_was_written_to_are_removed_again(tmp_path: Path) -> None:
    Output(OutputPaths(tmp_path / "r.jsonl")).close()
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_moving_aside_twice_in_a_second_loses_nothing(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "r.jsonl")
    for content in ("1\n", "2\n", "3\n"):
        paths.rollouts.write_text(content)
        Output(paths).move_aside()
    assert sorted(path.read_text() for path in tmp_path.glob("r.*-*.jsonl")) == ["1\n", "2\n", "3\n"]


def test_a_second_output_is_refused_and_leaves_the_first_its_files(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "r.jsonl")
    first = Output(paths)
    with pytest.raises(ConfigError, match="another collector writes"):
        Output(paths)
    assert paths.journal.exists()
    first.close()
    Output(paths).close()


def test_a_small_file_that_cannot_be_written_is_an_output_error_without_a_draft(tmp_path: Path) -> None:
    (tmp_path / "taken.json").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*taken\.json"):
        write_json(tmp_path / "taken.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["taken.json"]


def test_an_output_that_is_a_folder_or_below_a_file_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "file" / "r.jsonl", "is a file")):
        with pytest.raises(ConfigError, match=said):
            check_output_path(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
