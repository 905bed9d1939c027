from pathlib import Path

import pytest

from nemo_gym.config.code_digest import component_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sums"
    for name in (
        "app.py",
        "parts/total.py",
        "requirements.txt",
        "tests/test_app.py",
        "data/example.jsonl",
        "README.md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize(
    "name", ["app.py", "parts/total.py", "requirements.txt", "pyproject.toml", "new.py", "parts/prompt.txt"]
)
def test_changed_code_prompts_or_requirements_change_the_digest(name: str, folder: Path) -> None:
    before = component_digest(folder)
    (folder / name).write_text("changed")
    assert component_digest(folder) != before


@pytest.mark.parametrize(
    "name",
    ["tests/test_app.py", "data/example.jsonl", "README.md", "__pycache__/app.py", ".venv/lib.py", "data/make.py"],
)
def test_tests_data_caches_and_documents_do_not(name: str, folder: Path) -> None:
    before = component_digest(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("changed")
    assert component_digest(folder) == before


def test_the_same_code_elsewhere_has_the_same_digest_and_a_renamed_file_another(folder: Path) -> None:
    before = component_digest(folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    assert component_digest(moved) == before
    (moved / "app.py").rename(moved / "server.py")
    assert component_digest(moved) != before


def test_a_folder_without_code_or_none_at_all_has_no_digest(tmp_path: Path) -> None:
    assert component_digest(tmp_path) is None
    assert component_digest(tmp_path / "missing") is None
