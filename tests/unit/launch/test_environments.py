"""Which environment a component runs in, decided without building any."""

import sys
from pathlib import Path

import pytest

from nemo_gym.launch.environments.building import environment_for


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path / "home"))


def component(folder: Path, requirements: str) -> Path:
    folder.mkdir()
    (folder / "requirements.txt").write_text(requirements)
    return folder


def test_satisfied_requirements_mean_the_current_interpreter(tmp_path: Path) -> None:
    environment = environment_for(component(tmp_path / "a", "pydantic\n"), "auto")
    assert environment.python == Path(sys.executable)
    assert environment.is_built


def test_equal_requirements_share_one_environment_and_others_do_not(tmp_path: Path) -> None:
    folders = [
        environment_for(component(tmp_path / name, text), "auto").folder
        for name, text in (("a", "no-such-one\n"), ("b", "# the same\nno-such-one\n"), ("c", "no-such-two\n"))
    ]
    assert folders[0] == folders[1] != folders[2]
    assert folders[0] is not None
    assert not folders[0].exists()


def test_local_file_that_changed_means_another_environment(tmp_path: Path) -> None:
    folder = component(tmp_path / "a", "-c limits.txt\nno-such-one\n")
    (folder / "limits.txt").write_text("no-such-one<2\n")
    before = environment_for(folder, "auto").folder
    (folder / "limits.txt").write_text("no-such-one<3\n")
    assert environment_for(folder, "auto").folder != before


def test_python_version_means_another_environment(tmp_path: Path) -> None:
    folder = component(tmp_path / "a", "no-such-one\n")
    assert environment_for(folder, "auto").folder != environment_for(folder, "auto", "3.12").folder
