"""What a component's folder asks for, and whether it is there."""

from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.environments.requirements import is_installed, requirements_of


@pytest.mark.parametrize(
    "line",
    [
        "-e nemo-gym[dev] @ ../../",
        "nemo_gym>=0.1",
        "--editable=nemo-gym @ ../..",
        "# pydantic",
        "",
    ],
)
def test_requirements_that_name_us_ask_for_nothing_more(line: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    assert requirements_of(tmp_path) == []


def test_requirements_follow_nested_files_comments_and_continued_lines(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("one  # why\n")
    (tmp_path / "requirements.txt").write_text("-r base.txt\ntwo \\\n  --hash=sha256:00\n")
    assert requirements_of(tmp_path) == ["one", "two    --hash=sha256:00"]


def test_requirements_of_a_pyproject_are_its_dependencies_without_us(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["nemo-gym", "one>=1"]\n')
    assert requirements_of(tmp_path) == ["one>=1"]


def test_missing_nested_file_is_a_mistake_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r gone.txt\n")
    with pytest.raises(ConfigError, match=r"no such requirements file: .*gone\.txt"):
        requirements_of(tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("pydantic>=2", True, id="there"),
        pytest.param("pydantic>=2 --hash=sha256:00", True, id="there-with-hash"),
        pytest.param("pydantic<1", False, id="other-version"),
        pytest.param("no-such-package-4711", False, id="not-there"),
        pytest.param("no-such-package-4711; python_version < '3'", True, id="not-for-this-python"),
        pytest.param("--extra-index-url http://127.0.0.1/simple", True, id="only-where-to-look"),
        pytest.param("-e ../thing", False, id="editable"),
        pytest.param("./thing.whl", False, id="path"),
        pytest.param("thing @ https://127.0.0.1/thing.whl", False, id="url"),
    ],
)
def test_requirement_is_installed_only_when_this_environment_satisfies_it(line: str, expected: bool) -> None:
    assert is_installed(line) is expected
