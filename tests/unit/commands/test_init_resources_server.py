"""Folders that can't become a new server."""

from pathlib import Path

import pytest

from nemo_gym.commands.environments.init_resources_server import init
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.reading.command_line import CommandLine


@pytest.mark.parametrize(
    ("entrypoint", "expected"),
    [
        ("mine", "'mine' isn't a folder for a new resources server"),
        ("resources_servers/Mine", "in small letters, digits and _"),
        ("resources_servers/import", "isn't a folder for a new resources server"),
        ("resources_servers/" + "a" * 300, "File name too long"),
        ("resources_servers/file", "can't make resources_servers/file: Not a directory"),
        ("resources_servers/full", "resources_servers/full exists and is not empty"),
        ("file/resources_servers/mine", "Not a directory"),
    ],
)
def test_folder_that_cannot_be_made_is_a_mistake(
    entrypoint: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources_servers/full").mkdir(parents=True)
    for name in ("file", "resources_servers/file", "resources_servers/full/app.py"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError) as caught:
        init(CommandLine({"entrypoint": entrypoint}))
    assert expected in str(caught.value)
