from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.models.judge.prompt import Prompt

NAMES = ("question", "generated")


def test_values_are_put_in_as_they_are_and_double_braces_are_braces() -> None:
    prompt = Prompt('Q: {question} A: {generated} {{"verdict": 1}} again {question}', NAMES, "prompt")
    filled = prompt.fill({"question": "{generated}", "generated": "{0} }} {x!r} %s"})
    assert filled == 'Q: {generated} A: {0} }} {x!r} %s {"verdict": 1} again {generated}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{question}", "lacks the placeholder {generated}", id="missing"),
        pytest.param("{question} {generatd} {generated}", "did you mean 'generated'?", id="misspelt"),
        pytest.param("{question} {generated} {verdict}", "write {{ and }} for braces", id="unknown"),
        pytest.param("{question.__class__} {generated}", "unknown placeholder {question.__class__}", id="attribute"),
        pytest.param("{question[0]} {generated}", "unknown placeholder {question[0]}", id="item"),
        pytest.param("{} {question} {generated}", "unknown placeholder {}", id="nameless"),
        pytest.param("{question!r} {generated}", "has a format or a conversion", id="conversion"),
        pytest.param("{question:>9} {generated}", "has a format or a conversion", id="format"),
        pytest.param("{question} {generated} }", "malformed", id="single-brace"),
        pytest.param('{question} {generated} {"a": 1}', "malformed", id="json-with-single-braces"),
    ],
)
def test_a_prompt_with_a_mistake_is_refused_when_it_is_read_and_says_where(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Prompt(text, NAMES, "judge.prompt")
    assert said in str(refused.value)
    assert "where: judge.prompt" in str(refused.value)


def test_every_mistake_of_a_prompt_is_named() -> None:
    with pytest.raises(ConfigError, match="3 mistakes"):
        Prompt("{a}", NAMES, "prompt")


def test_values_for_other_placeholders_are_a_bug_of_the_verifier() -> None:
    with pytest.raises(TypeError, match="asked with answer, question; its placeholders are question, generated"):
        Prompt("{question} {generated}", NAMES, "prompt").fill({"question": "q", "answer": "a"})


@pytest.mark.parametrize("path", ["prompts/judge.txt", "resources_servers/quiz/prompts/judge.txt"])
def test_a_prompt_file_is_found_from_the_folder_of_its_server(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "resources_servers" / "quiz"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "judge.txt").write_text("ü {question} {generated}", encoding="utf-8")
    assert Prompt.read(path, NAMES, folder).fill({"question": "q", "generated": "g"}) == "ü q g"


def test_a_prompt_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompt file 'nowhere.txt' doesn't exist"):
        Prompt.read("nowhere.txt", NAMES, tmp_path)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"can't be read[\s\S]*bytes.txt"):
        Prompt.read("bytes.txt", NAMES, tmp_path)
