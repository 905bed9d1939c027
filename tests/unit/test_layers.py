"""Every module has a layer in the import-linter contracts of pyproject.toml, which `make lint` checks."""

import pkgutil
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
MODULES = [
    f"nemo_gym.{path.relative_to(ROOT / 'nemo_gym').with_suffix('').as_posix().replace('/', '.')}"
    for path in (ROOT / "nemo_gym").rglob("*.py")
    if path.name != "__init__.py"
]


def layers(package: str) -> list[set[str]]:
    """The modules on each layer of a package, from top to bottom."""
    (contract,) = [contract for contract in CONTRACTS if contract["containers"] == [package]]
    assert contract["type"] == "layers"
    return [set(re.split(r"\s*[|:]\s*", line)) for line in contract["layers"]]


@pytest.mark.parametrize("package", ["nemo_gym", "nemo_gym.servers", "nemo_gym.commands"])
def test_every_module_of_a_package_with_layers_is_on_exactly_one(package: str) -> None:
    modules = sorted(info.name for info in pkgutil.iter_modules(import_module(package).__path__))
    assert sorted(name for layer in layers(package) for name in layer) == modules


@pytest.mark.parametrize("package", ["nemo_gym", "nemo_gym.servers", "nemo_gym.commands"])
def test_no_module_hides_from_the_linter_in_a_folder_without_init(package: str) -> None:
    folder = Path(*import_module(package).__path__)
    assert [path for path in folder.rglob("*.py") if not (path.parent / "__init__.py").exists()] == []


def test_every_group_of_the_commands_keeps_its_commands_apart() -> None:
    (apart,) = [contract for contract in CONTRACTS if contract["name"] == "commands don't know each other"]
    groups = [info.name for info in pkgutil.iter_modules(import_module("nemo_gym.commands").__path__) if info.ispkg]
    assert apart["containers"] == sorted(f"nemo_gym.commands.{group}" for group in groups)


def test_the_layers_are_in_the_order_of_the_architecture() -> None:
    order = (
        "commands",
        "rollouts",
        "collections",
        "base_resources_server",
        "servers",
        "global_config",
        "config",
        "wire",
    )
    heights = {name: height for height, layer in enumerate(layers("nemo_gym")) for name in layer}
    assert sorted(order, key=heights.__getitem__) == list(order)
    assert heights["rollouts"] == heights["launch"] == heights["outbound"]
    assert layers("nemo_gym.servers") == [{"serving"}, {"sessions"}, {"http"}, {"runs"}]


def test_every_exception_is_an_import_of_a_module_that_exists() -> None:
    for contract in CONTRACTS:
        for exception in contract.get("ignore_imports", []):
            assert set(exception.split(" -> ")) <= {*MODULES, "nemo_gym"}, exception


def test_benchmarks_need_nothing_of_the_tests() -> None:
    sources = {path: path.read_text() for path in (ROOT / "benchmarks").rglob("*.py")}
    assert [path for path, source in sources.items() if re.search(r"^\s*(from|import) tests\b", source, re.M)] == []
