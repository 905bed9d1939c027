"""Texts of tokens: as an endpoint has told them, by a tokenizer file, or said to be unknown."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models

from nemo_gym.config.errors import ConfigError
from nemo_gym.viewer.rollout.tokenizer import Tokenizer
from nemo_gym.viewer.rollout.tokens import token_calls

VOCABULARY = {"Hi": 0, "Ġyou": 1, "Ċ": 2, "Ã": 3, "©": 4, "<end>": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small byte-level tokenizer."""
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=VOCABULARY, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def message(text: str = "Hi you", **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, **more}]}


def told(*tokens: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": log_prob} for token, log_prob in tokens]


def ids(*made: int, log_probs: list[float] | None = None) -> dict[str, Any]:
    chances = log_probs or [-0.1 * place for place in range(len(made))]
    return {"prompt_token_ids": [9], "generation_token_ids": list(made), "generation_log_probs": chances}


def row(*output: dict[str, Any]) -> dict[str, Any]:
    return {"response": {"output": list(output)}}


def test_a_tokenizer_says_what_ids_mean_and_joins_the_pieces_of_a_character(folder: Path) -> None:
    for path in (folder, folder / "tokenizer.json"):
        (call,) = token_calls(row(message() | ids(0, 1, 2, 3, 4, 5)), Tokenizer(path))
        assert call.texts == ["Hi", " you", "\n", "", "é", "<end>"]


def test_an_id_that_no_token_has_costs_no_other_its_text(folder: Path) -> None:
    (call,) = token_calls(row(message() | ids(0, 99_999, -1, 1)), Tokenizer(folder))
    assert [call.texts[0], call.texts[3]] == ["Hi", " you"]


def test_a_later_stretch_reads_as_it_does_in_the_whole(folder: Path) -> None:
    (call,) = token_calls(row(message() | ids(*[0, 1] * 1_500)), Tokenizer(folder), offset=2_001)
    assert (call.texts[0], len(call.texts), call.generated_tokens) == (" you", 999, 3_000)


def test_texts_that_an_endpoint_told_stand_at_their_place_among_the_ids() -> None:
    chances = [-0.5, -0.1, -0.2, -0.9]
    part = message(logprobs=told(("Hi", -0.1), (" you", -0.2)))
    (call,) = token_calls(row({"type": "reasoning"}, part | ids(8, 0, 1, 5, log_probs=chances)))
    assert call.texts == [None, "Hi", " you", None]


def test_texts_that_fit_nowhere_among_the_ids_are_not_shown() -> None:
    (call,) = token_calls(row(message(logprobs=told(("Hi", -3.0))) | ids(0, 1)))
    assert call.texts == [None, None]


def test_an_endpoint_that_tells_texts_and_no_ids_has_a_token_view_too() -> None:
    asked = {"role": "user", "content": "and?"}
    calls = token_calls(row(message(logprobs=told(("Hi", -0.1))), asked, message(logprobs=told(("Hi", -0.3)))))
    assert [(call.texts, call.ids, call.log_probs) for call in calls] == [
        (["Hi"], [None], [-0.1]),
        (["Hi"], [None], [-0.3]),
    ]
    assert {(call.prompt_tokens, call.prefix_break) for call in calls} == {(None, None)}


def test_a_break_is_shown_in_words_on_both_sides(folder: Path) -> None:
    after = message() | ids(5) | {"prompt_token_ids": [9, 0, 2]}
    result = {"type": "function_call_output", "call_id": "c", "output": ""}
    found = token_calls(row(message() | ids(0, 1), result, after), Tokenizer(folder))[1].prefix_break
    assert found is not None
    assert (found.position, found.expected, found.found) == (2, [" you"], ["\n"])


@pytest.mark.parametrize(("text", "says"), [(None, "isn't there"), ("{}", "isn't a tokenizer")], ids=["no", "odd"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ConfigError, match=says):
        Tokenizer(tmp_path)
