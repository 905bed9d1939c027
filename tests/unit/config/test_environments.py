"""Environments by name and folder, in configuration and on the command line."""

import sys
from pathlib import Path

import pytest

from nemo_gym.config.datasets import load_datasets
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import load_config
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.config.reading.environments import find_environment, known_environments

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "letter_count" / "letter_count"
CONFIG = "{name}:\n  resources_servers:\n    {name}:\n      entrypoint: app.py\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_environment(folder: Path, **configs: str) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "app.py").write_text("")
    for name, text in configs.items():
        (folder / "configs" / f"{name}.yaml").write_text(text)
    return folder


def installed(site: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package `name` with an environment, as an installer would."""
    package = write_environment(site / name, **{name: CONFIG.format(name=name)})
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    info = site / f"{name}-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[nemo_gym.environments]\n{name} = {name}\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    return package


def test_a_folder_anywhere_is_an_environment_by_its_path(folder: Path) -> None:
    config = load_config(initial={"config_paths": [str(EXAMPLE)]}, skip_dotenv=True)
    (instance,) = config.instances
    assert (instance.name, instance.directory, instance.domain) == ("letter_count", EXAMPLE, "knowledge")
    assert config.find_file(Path(instance.datasets[0].jsonl_fpath), "letter_count") == EXAMPLE / "data/example.jsonl"


@pytest.mark.parametrize("name", ["mine", "./mine", "mine/"])
def test_a_folder_here_is_found_by_its_name(folder: Path, name: str) -> None:
    write_environment(folder / "mine", mine=CONFIG.format(name="mine"))
    assert parse_command_line([name]).config_paths == (name,)
    config = load_config(parse_command_line([name]), skip_dotenv=True)
    assert [instance.directory for instance in config.instances] == [folder / "mine"]


def test_a_shipped_component_is_found_by_its_name_whatever_its_file_is_called(folder: Path) -> None:
    found = find_environment("example_simple_weather")
    assert found is not None
    assert found.config_file() == ROOT / "resources_servers/example_simple_weather/configs/simple_weather.yaml"


def test_an_installed_distribution_is_found_without_being_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = installed(folder / "site", "from_an_index", monkeypatch)
    found = find_environment("from_an_index")
    assert found is not None
    assert (found.folder, found.distribution) == (package, "from_an_index 2.0")
    config = load_config(parse_command_line(["from_an_index"]), skip_dotenv=True)
    assert [instance.directory for instance in config.instances] == [package]
    assert "from_an_index" in [environment.name for environment in known_environments()]


def test_a_folder_comes_before_what_is_installed_under_the_same_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(folder / "site", "twice", monkeypatch)
    here = write_environment(folder / "twice", twice=CONFIG.format(name="twice"))
    found = find_environment("twice")
    assert found is not None
    assert (found.folder, found.distribution) == (here, None)


def test_an_environment_whose_configuration_is_not_clear_says_which_there_are(folder: Path) -> None:
    write_environment(folder / "two", a=CONFIG.format(name="two"), b=CONFIG.format(name="two"))
    with pytest.raises(ConfigError) as error:
        load_config(initial={"config_paths": ["two"]}, skip_dotenv=True)
    assert "has 2 configurations" in str(error.value)
    assert "known: two/configs/a.yaml, two/configs/b.yaml" in str(error.value)


def test_a_name_that_is_nearly_one_is_told_the_right_one(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'example_simple_weather'"):
        parse_command_line(["example_simple_wether"])


def test_a_folder_without_configurations_is_no_environment(folder: Path) -> None:
    (folder / "plain").mkdir()
    assert find_environment("plain") is None
    assert find_environment("no\0name") is None


def test_datasets_of_an_environment_with_its_default_agent_alone_are_run_by_that_agent() -> None:
    (dataset,) = load_datasets(parse_command_line([str(EXAMPLE)])).datasets
    assert (dataset.agent, dataset.path) == ("letter_count_simple_agent", EXAMPLE / "data/example.jsonl")
    with pytest.raises(ConfigError, match="no agent runs the datasets of 'letter_count'"):
        load_datasets(parse_command_line([str(EXAMPLE), "+letter_count_simple_agent=null"]))
