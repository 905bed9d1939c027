"""What a component's process finds by name."""

from pathlib import Path

import pytest

from nemo_gym.launch.environments.requirements import python_path


def test_python_path_never_holds_a_folder_of_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/inherited")
    installed = tmp_path / "lib" / "site-packages" / "resources_servers" / "x"
    mine = tmp_path / "project" / "resources_servers" / "x"
    assert str(tmp_path / "lib" / "site-packages") not in python_path(installed)
    assert python_path(mine).startswith(f"{tmp_path / 'project'}:")
    assert python_path(mine).endswith(":/inherited")
