"""Arguments as a person types them."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.reading.command_line import CommandLine, parse_command_line

ROOT = Path(__file__).parents[3]


class _Options(BaseModel):
    entrypoint: str
    overwrite: bool = False
    input: str | None = None


def _error(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_command_line(argv)
    return str(caught.value)


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_prefixes_mean_the_same(prefix: str) -> None:
    assert parse_command_line([f"{prefix}limit=3"]).overrides == {"limit": 3}


def test_values_are_typed_and_dots_nest() -> None:
    arguments = [
        "a.b.c=1.5",
        "a.b.d=null",
        "flag=true",
        "+paths=[x/y.yaml,z.yaml]",
        "url=http://h:1/v1",
        "e=${env_name}",
    ]
    assert parse_command_line(arguments).overrides == {
        "a": {"b": {"c": 1.5, "d": None}},
        "flag": True,
        "paths": ["x/y.yaml", "z.yaml"],
        "url": "http://h:1/v1",
        "e": "${env_name}",
    }


def test_a_mapping_and_its_key_merge_and_the_later_wins() -> None:
    assert parse_command_line(["a={b: 1, c: 2}", "a.b=3"]).overrides == {"a": {"b": 3, "c": 2}}
    assert parse_command_line(["a.b=3", "a={b: 1}"]).overrides == {"a": {"b": 1}}


def test_yaml_arguments_are_config_paths() -> None:
    assert parse_command_line(["a.yaml", "x=1", "b.yml"]) == CommandLine({"x": 1}, ("a.yaml", "b.yml"))


@pytest.mark.parametrize("argument", ["-h", "--help", "+h=true", "help=true", "++help=True"])
def test_help_in_every_spelling(argument: str) -> None:
    assert parse_command_line([argument, "x=1"]) == CommandLine({"x": 1}, (), help=True)


def test_all_bad_arguments_are_reported_together() -> None:
    text = _error("bar", "ok=1", "x=[1,2", "--limit=3")
    assert "argument 'bar' is neither key=value nor a .yaml file" in text
    assert "argument 'x=[1,2' can't be read" in text
    assert "fix:   write limit=3" in text
    assert text.endswith("3 mistakes")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        pytest.param("~key", "argument '~key' deletes a key, which isn't supported", id="deletion"),
        pytest.param("x=1,2", "a list is written 'x=[1,2]'", id="sweep"),
        pytest.param("x=a&b", "quote a value with special characters: 'x=\"a&b\"'", id="special-characters"),
        pytest.param("a@b=1", "has an '@' in its key", id="package"),
    ],
)
def test_bad_argument_says_how_to_write_it(argument: str, expected: str) -> None:
    assert expected in _error(argument)


@pytest.mark.parametrize("argument", ["x=" + "[" * 3000 + "]" * 3000, "x=" + "{a:" * 3000 + "1" + "}" * 3000])
def test_argument_nested_too_deeply_is_a_mistake_and_is_not_printed_whole(argument: str) -> None:
    text = _error(argument)
    assert "is nested more than 64 levels deep" in text
    assert len(text) < 1000


@pytest.mark.parametrize("argument", ["policy_api_key=sk-canary&", "x={api_key: sk-canary&}", "hf_token=sk-canary,b"])
def test_bad_argument_with_a_secret_does_not_show_it(argument: str) -> None:
    assert "sk-canary" not in _error(argument)


@pytest.mark.parametrize(
    ("argument", "fix"),
    [
        pytest.param("overwrite", "write overwrite=true", id="switch"),
        pytest.param("--entrypoint", "write entrypoint=...", id="flag"),
        pytest.param("mine", "write entrypoint=mine", id="only-required-option"),
        pytest.param(str(ROOT / "docs"), f"write input={ROOT / 'docs'}", id="something-on-disk"),
        pytest.param("a.yaml,b.yaml,", "separate configuration files by spaces, without commas", id="commas"),
        pytest.param(
            "vllm_model/",
            "name its configuration file: responses_api_models/vllm_model/configs/vllm_model.yaml",
            id="model",
        ),
    ],
)
def test_argument_without_a_key_is_told_what_it_was_meant_for(argument: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_command_line([argument], _Options)
    assert f"fix:   {fix}" in str(caught.value)
