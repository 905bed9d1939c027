"""What a release relies on: one version, and dependencies whose licenses allow to use them."""

import importlib.util
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import nemo_gym

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def licenses() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licenses", ROOT / "docs/_ext/licenses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_version_is_written_in_one_place_and_the_changelog_has_its_section() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "nemo_gym/__init__.py"
    assert version("nemo-gym") == nemo_gym.__version__
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] in (nemo_gym.__version__, "Unreleased")


def test_every_dependency_has_a_license_that_is_allowed(licenses: ModuleType) -> None:
    found, _ = licenses.dependencies()
    assert [(each.name, each.license) for each in found if not each.is_allowed] == []
    assert {"aiohttp", "yarl", "pyarrow", "numpy"} <= {each.name for each in found}


@pytest.mark.parametrize(
    ("license", "is_allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("not stated", False),
    ],
)
def test_a_license_is_allowed_by_its_expression(licenses: ModuleType, license: str, is_allowed: bool) -> None:
    assert licenses.Licensed("x", "", license).is_allowed is is_allowed
