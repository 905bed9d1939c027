"""Precedence, included files, and what is said about files that can't be used."""

from pathlib import Path

import pytest

from nemo_gym import PARENT_DIR
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import parse_command_line


def _load(*argv: str) -> dict[str, object]:
    return dict(merge_sources(parse_command_line(argv)))  # type: ignore[arg-type]


def _error(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(*argv)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env.yaml").touch()
    return tmp_path


def test_later_files_then_env_then_command_line_win(folder: Path) -> None:
    (folder / "a.yaml").write_text("one: a\ntwo: a\nthree: a\nfour: a\nnested: {a: 1, x: a}")
    (folder / "b.yaml").write_text("two: b\nthree: b\nfour: b\nnested: {b: 1, x: b}")
    (folder / "env.yaml").write_text("three: env\nfour: env")
    values = _load("+config_paths=[a.yaml,b.yaml]", "four=line")
    assert [values[key] for key in ("one", "two", "three", "four")] == ["a", "b", "env", "line"]
    assert values["nested"] == {"a": 1, "b": 1, "x": "b"}


def test_named_list_of_env_yaml_is_used(folder: Path) -> None:
    (folder / "a.yaml").write_text("one: a")
    (folder / "env.yaml").write_text("weather_paths: [a.yaml]")
    assert _load("+config_paths=${weather_paths}")["one"] == "a"
    assert _load("+config_paths=[${weather_paths}]")["one"] == "a"


def test_unknown_list_in_config_paths_names_the_near_one(folder: Path) -> None:
    (folder / "env.yaml").write_text("weather_paths: [a.yaml]")
    text = _error("+config_paths=${weather_path}")
    assert "config_paths uses ${weather_path}, which has no value" in text
    assert "did you mean 'weather_paths'?" in text


def test_config_paths_of_env_yaml_are_read_unless_the_command_line_has_its_own(folder: Path) -> None:
    (folder / "a.yaml").write_text("one: a")
    (folder / "b.yaml").write_text("one: b")
    (folder / "env.yaml").write_text("config_paths: [a.yaml]")
    assert _load()["one"] == "a"
    assert _load("b.yaml")["one"] == "b"


def test_a_file_wins_over_the_files_it_names_also_beside_it(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep/base.yaml").write_text("one: base\ntwo: base")
    (folder / "deep/a.yaml").write_text("config_paths: [base.yaml]\none: a")
    values = _load("deep/a.yaml")
    assert (values["one"], values["two"]) == ("a", "base")


def test_a_file_is_looked_for_beside_the_one_that_names_it_first(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "base.yaml").write_text("one: current folder")
    (folder / "deep/base.yaml").write_text("one: beside")
    (folder / "deep/a.yaml").write_text("config_paths: [base.yaml]")
    assert _load("deep/a.yaml")["one"] == "beside"


def test_a_file_named_twice_counts_at_its_first_place(folder: Path) -> None:
    (folder / "base.yaml").write_text("one: base")
    (folder / "a.yaml").write_text("config_paths: [base.yaml]\none: a")
    (folder / "b.yaml").write_text("config_paths: [base.yaml]\ntwo: b")
    assert _load("a.yaml", "b.yaml")["one"] == "a"


def test_files_that_name_each_other_are_a_mistake(folder: Path) -> None:
    (folder / "a.yaml").write_text("config_paths: [b.yaml]")
    (folder / "b.yaml").write_text("config_paths: [a.yaml]")
    text = _error("a.yaml")
    assert "form a circle: a.yaml -> b.yaml -> a.yaml" in text
    assert "where: b.yaml, key config_paths" in text


def test_missing_files_are_reported_together_with_the_places_tried(folder: Path) -> None:
    (folder / "simple_weather.yaml").touch()
    text = _error("+config_paths=[simple_wether.yaml,none/x.yaml]")
    assert (
        f"'simple_wether.yaml' doesn't exist (tried {folder}/simple_wether.yaml, {PARENT_DIR}/simple_wether.yaml)"
        in text
    )
    assert "did you mean 'simple_weather.yaml'?" in text
    assert "configuration file 'none/x.yaml' doesn't exist" in text
    assert "where: command line, key config_paths" in text


def test_config_path_that_is_a_folder_or_a_number_is_a_mistake(folder: Path) -> None:
    (folder / "conf.yaml").mkdir()
    assert "configuration file 'conf.yaml' is a folder" in _error("conf.yaml")
    assert "config_paths holds 5, not a path" in _error("+config_paths=[5]")


def test_broken_yaml_says_file_line_column_and_the_line(folder: Path) -> None:
    (folder / "bad.yaml").write_text("a: 1\nb: c: d\n")
    text = _error("bad.yaml")
    assert "bad.yaml isn't valid YAML: mapping values are not allowed in this context" in text
    assert "where: bad.yaml:2:5: b: c: d" in text


def test_broken_yaml_with_a_secret_does_not_show_it(folder: Path) -> None:
    (folder / "env.yaml").write_text("policy_api_key: sk-canary: x\n")
    assert "policy_api_key: ****" in _error()
    (folder / "env.yaml").write_text("policy_api_key:\n  sk-canary: : x\n")
    assert "sk-canary" not in _error()


def test_key_twice_in_a_mapping_is_a_mistake(folder: Path) -> None:
    (folder / "bad.yaml").write_text("a: 1\nb: 2\na: 3\n")
    text = _error("bad.yaml")
    assert "key 'a' appears twice" in text
    assert "bad.yaml:3:1" in text


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: " + "[" * 200_000, "is nested more than 64 levels deep", id="brackets"),
        pytest.param(
            "".join(f"{' ' * n}a:\n" for n in range(500)), "is nested more than 64 levels deep", id="indented"
        ),
        pytest.param(
            "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, 100)),
            "is nested more than 64 levels deep",
            id="aliases-of-aliases",
        ),
        pytest.param(BOMB, "expands to more than 1,000,000 values", id="alias-bomb"),
        pytest.param("a: &a [1, *a]", "contains an alias (*name) inside the value it stands for", id="circle"),
        pytest.param("a: b\0c", "isn't valid YAML", id="nul-byte"),
    ],
)
def test_yaml_of_absurd_size_or_content_is_one_mistake(folder: Path, text: str, expected: str) -> None:
    (folder / "bad.yaml").write_text(text)
    error = _error("bad.yaml")
    assert f"bad.yaml {expected}" in error
    assert "where: bad.yaml" in error
    assert "mistakes" not in error
    assert len(error) < 1000


def test_values_of_a_program_nested_too_deeply_are_a_mistake() -> None:
    values: dict[str, object] = {}
    for _ in range(5000):
        values = {"a": values}
    with pytest.raises(ConfigError, match="initial_global_config_dict is nested more than 64 levels deep"):
        merge_sources(skip_dotenv=True, initial=values)


def test_key_with_thousands_of_dots_is_a_mistake(folder: Path) -> None:
    assert "command line is nested more than 64 levels deep" in _error(".".join("a" * 3000) + "=1")


@pytest.mark.parametrize("path", ['"a\\0.yaml"', "a" * 300 + ".yaml", "~no-such-user/a.yaml"])
def test_path_that_no_file_can_have_does_not_exist(folder: Path, path: str) -> None:
    (folder / "main.yaml").write_text(f"config_paths: [{path}]")
    assert "doesn't exist" in _error("main.yaml")


def test_a_file_that_may_be_there_and_cannot_be_looked_at_is_a_mistake_and_not_ignored(folder: Path) -> None:
    # A loop of links, since the tests may run as root, who enters every folder.
    (folder / "env.yaml").unlink()
    (folder / "env.yaml").symlink_to("env.yaml")
    said = _error("+config_paths=[env.yaml/a.yaml]")
    for name in ("env.yaml", "env.yaml/a.yaml"):
        assert f"config error: can't read {name}: Too many levels of symbolic links\n  fix:   check the path" in said
    assert said.endswith("\n2 mistakes")


def test_deleted_current_folder_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "'a.yaml' doesn't exist" in _error("a.yaml")


def test_yaml_that_is_no_mapping_is_a_mistake(folder: Path) -> None:
    (folder / "bad.yaml").write_text("- a\n- b\n")
    assert "bad.yaml holds a list, not a mapping" in _error("bad.yaml")


def test_yaml_numbers_and_dates_read_as_omegaconf_does(folder: Path) -> None:
    (folder / "a.yaml").write_text("rate: 1e-3\nday: 2024-01-02\nbase: &b {x: 1}\nmore: {<<: *b, y: 2}\n")
    values = _load("a.yaml")
    assert (values["rate"], values["day"], values["more"]) == (0.001, "2024-01-02", {"x": 1, "y": 2})


def test_initial_values_are_above_env_and_below_the_command_line(folder: Path) -> None:
    (folder / "env.yaml").write_text("one: env\ntwo: env")
    values = merge_sources(parse_command_line(["two=line"]), initial={"one": "program", "two": "program"})
    assert (values.one, values.two) == ("program", "line")


def test_skipped_and_missing_dotenv_set_nothing(folder: Path) -> None:
    (folder / "env.yaml").write_text("one: env")
    assert "one" not in merge_sources(skip_dotenv=True)
    assert "one" not in merge_sources(dotenv_path=folder / "other.yaml")
