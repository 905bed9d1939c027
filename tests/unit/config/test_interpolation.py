"""Resolving, and what is said when something has no value."""

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import parse_command_line


def _load(*argv: str, **values: object) -> dict[str, object]:
    return dict(merge_sources(parse_command_line(argv), skip_dotenv=True, initial=values))  # type: ignore[arg-type]


def _error(**values: object) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(**values)
    return str(caught.value)


def test_values_refer_to_each_other_across_sources() -> None:
    assert _load("who=world", text="hello ${who}", copy="${text}")["copy"] == "hello world"


def test_missing_key_is_one_mistake_however_often_it_is_used() -> None:
    text = _error(a="${judge_api_key}", b={"c": ["${a}"]})
    assert text.splitlines() == [
        "config error: judge_api_key is needed and not set",
        "  where: initial_global_config_dict, key a, and 1 more",
        "  fix:   set judge_api_key in env.yaml or on the command line: +judge_api_key=...",
    ]


def test_missing_key_with_a_near_one_asks_for_it() -> None:
    assert "did you mean 'judge_apikey'? Or set judge_api_key in env.yaml" in _error(
        a="${judge_api_key}", judge_apikey="x"
    )


def test_missing_key_is_not_taken_for_a_server() -> None:
    assert "did you mean" not in _error(a="${policy_model_name}", policy_model={"x": 1})


def test_question_marks_name_their_key_once() -> None:
    text = _error(judge={"url": "???"}, other="${judge.url}")
    assert "judge.url has no value yet (???)" in text
    assert "fix:   set judge.url in env.yaml or on the command line: +judge.url=..." in text
    assert "mistakes" not in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("${a}", "a refers to itself", id="circle"),
        pytest.param("${x", "a has a broken ${...}", id="grammar"),
        pytest.param("${oc.env:NOT_SET_ANYWHERE}", "environment variable NOT_SET_ANYWHERE is not set", id="variable"),
        pytest.param("${upper:x}", "a can't be resolved: Unsupported interpolation type upper", id="resolver"),
    ],
)
def test_interpolation_that_cannot_work_is_a_mistake(value: str, expected: str) -> None:
    assert expected in _error(a=value, fine="${default_host}")


@pytest.mark.parametrize("text", [r"\${x}", r"cost \${5} and ${one}", r"a\\\${x}", r"C:\dir"])
def test_resolved_text_is_resolved_once(text: str) -> None:
    once = _load(a=text, one=1)["a"]
    assert (
        merge_sources(skip_dotenv=True, initial=merge_sources(skip_dotenv=True, initial={"a": text, "one": 1})).a
        == once
    )
