"""ng_list, and what it says of environments that it can't look into."""

import json
import subprocess
import sys
from pathlib import Path

from nemo_gym.commands.lookup.list import describe
from nemo_gym.config.reading.environments import EnvironmentFolder
from tests.bounds import HANGS_AFTER_S

NG_LIST = Path(sys.executable).parent / "ng_list"


def ng_list(folder: Path, *arguments: str) -> str:
    done = subprocess.run([NG_LIST, *arguments], cwd=folder, capture_output=True, text=True, timeout=HANGS_AFTER_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(folder: Path, code: str, more: str = "") -> EnvironmentFolder:
    (folder / "configs").mkdir(parents=True)
    (folder / "app.py").write_text(code)
    block = f"x:\n  resources_servers:\n    {folder.name}:\n      entrypoint: app.py\n      domain: math\n{more}"
    (folder / "configs" / f"{folder.name}.yaml").write_text(block)
    return EnvironmentFolder(folder.name, folder)


def test_json_has_domain_tools_and_datasets_of_each(tmp_path: Path) -> None:
    listed = {entry["name"]: entry for entry in json.loads(ng_list(tmp_path, "+as_json=true"))}
    weather = listed["example_simple_weather"]
    assert (weather["domain"], weather["tools"], weather["datasets"]) == ("agent", ["get_weather"], ["example"])
    assert listed["example_mcp"]["tools"] == ["mcp:shop"]
    assert [entry["note"] for entry in listed.values()] == [None] * len(listed)


def test_the_table_has_one_line_for_each_and_says_where_it_is_from(tmp_path: Path) -> None:
    environment(tmp_path / "resources_servers" / "of_my_own", "raise RuntimeError('broken code')")
    header, *lines = ng_list(tmp_path).splitlines()
    assert header.split() == ["name", "domain", "tools", "datasets", "license", "from"]
    mine = next(line.split() for line in lines if line.startswith("of_my_own "))
    assert mine == ["of_my_own", "math", "?", "resources_servers/of_my_own"]
    assert lines[-1] == "of_my_own: its tools aren't known: RuntimeError('broken code')"


def test_a_configuration_that_is_not_yaml_is_a_note(tmp_path: Path) -> None:
    found = environment(tmp_path / "bad", "")
    (tmp_path / "bad" / "configs" / "bad.yaml").write_text("a: [")
    assert "isn't valid YAML" in (describe(found).note or "")


def test_licenses_of_datasets_are_listed_once(tmp_path: Path) -> None:
    datasets = "".join(f"        - {{name: {n}, license: MIT}}\n" for n in "ab")
    found = describe(environment(tmp_path / "some", "", f"      datasets:\n{datasets}"))
    assert (found.datasets, found.licenses) == (["a", "b"], ["MIT"])
