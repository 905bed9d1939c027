import codecs
import os
import socket
from pathlib import Path

import pytest

from nemo_gym.collections.tasks import Task, agent_of, check_task_file, read_tasks, with_params
from nemo_gym.config.errors import ConfigError

GOOD = b'{"responses_create_params": {"input": "hi"}}'


def test_blank_lines_are_no_tasks_and_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(b"\n" + GOOD + b"\n\n  \n" + GOOD)
    assert [(task.index, task.line_number) for task in read_tasks(path)] == [(0, 2), (1, 5)]
    assert len(list(read_tasks(path, limit=1))) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b'{"responses_create_params": ', "line 7 isn't valid JSON", id="torn"),
        pytest.param(b'{"a": "\xff"}', "line 7 isn't valid JSON", id="no-utf-8"),
        pytest.param(b"[1]", "line 7 is a JSON list, not an object", id="list"),
        pytest.param(b"{}", "line 7 lacks responses_create_params", id="no-params"),
        pytest.param(b'{"responses_create_params": "hi"}', "line 7 lacks responses_create_params", id="params-text"),
        pytest.param(b'{"responses_create_params": {}}', "line 7 lacks responses_create_params.input", id="no-input"),
        pytest.param(GOOD[:-1] + b', "agent_ref": "x"}', "agent_ref that isn't an object", id="agent-ref-text"),
        pytest.param(
            b'{"responses_create_params": {"input": 5}}', "line 7 has .* neither text nor a list", id="number"
        ),
        pytest.param(GOOD[:-2] + b', "tools": {}}}', "line 7 has .*tools that aren't a list", id="tools-object"),
        pytest.param(GOOD[:-1] + b', "reward": 1.0}', "line 7 already has a reward", id="reward"),
        pytest.param(GOOD[:-1] + b', "x": ' + b"[" * 500 + b"]" * 500 + b"}", "line 7 is nested too", id="500-deep"),
        pytest.param(GOOD[:-1] + b', "x": ' + b"[" * 9999 + b"]" * 9999 + b"}", "line 7 isn't valid", id="9999-deep"),
    ],
)
def test_a_row_that_is_no_task_says_what_is_wrong_and_where(line: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Task(0, 7, line).row()


def test_a_row_with_many_brackets_side_by_side_is_a_task() -> None:
    line = GOOD[:-1] + b', "x": [' + b"{}," * 5_000 + b'{}], "deep": ' + b"[" * 200 + b"]" * 200 + b"}"
    assert len(Task(0, 7, line).row()["x"]) == 5_001


def test_a_byte_order_mark_before_the_first_task_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + GOOD + b"\n" + GOOD)
    assert [task.row() for task in read_tasks(path)] == [{"responses_create_params": {"input": "hi"}}] * 2
    path.write_bytes(codecs.BOM_UTF8 + b"\n")
    assert not list(read_tasks(path))


def test_a_row_names_its_agent_or_none() -> None:
    assert agent_of({"agent_ref": {"name": "a"}}) == "a"
    assert agent_of({"agent_ref": None}) is None
    assert agent_of({"agent_ref": {"name": 3}}) is None
    assert agent_of({}) is None


def test_overrides_replace_create_parameters_and_nothing_else() -> None:
    row = {"responses_create_params": {"input": "hi", "temperature": 0.1}, "answer": 4}
    assert with_params(row, {"temperature": 0.7}) == {
        "responses_create_params": {"input": "hi", "temperature": 0.7},
        "answer": 4,
    }
    assert row["responses_create_params"] == {"input": "hi", "temperature": 0.1}


def test_a_task_file_that_is_missing_a_folder_or_empty_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n \n")
    for path, said in ((tmp_path / "no.jsonl", "no such task file"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError, match=said):
            check_task_file(path)
    with pytest.raises(ConfigError, match="holds no task"):
        check_task_file(tmp_path / "empty.jsonl")


def test_a_pipe_or_a_device_is_named_for_what_it_is_and_never_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    kinds = {tmp_path / "pipe": "a named pipe", tmp_path / "s": "a socket", Path("/dev/zero"): "a character device"}
    for path, kind in kinds.items():
        with pytest.raises(ConfigError, match=f"{path} is {kind}.*, not a task file"):
            check_task_file(path)
    listener.close()
