"""Finding final answers: what counts, what doesn't, and that no text whatever makes a function fail or hang."""

import json
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.environments import answer_after, boxed_answer, json_object, option_letter
from tests.bounds import HANGS_AFTER_S

FINDERS: list[Callable[[str], Any]] = [boxed_answer, answer_after, option_letter, json_object]
PIECES = [
    "\\", "boxed", "{", "}", "\\boxed{", "\\boxed ", "\\text{", "answer", "Answer:", " is ", "final ", "option ",
    "A", "B",
    " or ", "(", ")", "**", "$", '"', ":", ",", "[", "]", "1", '{"a":', "NaN", "\n", " ", "\\u", "\ud800",
    "if the ", "I",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{1} and \boxed{ 2 }", "2"),
        (r"\boxed 5$ holds", "5"),
        (r"\boxed 42.", "42"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"x = \boxed{\boxed{3}}", "3"),
        (r"\boxed{a {b} \boxed{3} c}", "3"),
        ("\\\\boxed{7}", "7"),
        (r"\boxed{1} \boxed{2", "1"),
        (r"\boxed{1} \boxed{}", "1"),
        (r"}} \boxed{4}", "4"),
        (r"boxed{4} \boxed", None),
        (r"\boxed{", None),
        ("", None),
    ],
)
def test_the_last_box_that_closes_is_the_answer(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


@given(
    st.text(string.ascii_letters + string.digits + r" +-^_,$", min_size=1).map(str.strip).filter(bool),
    st.text("ab {}\\"),
)
def test_a_box_after_anything_without_open_boxes_is_found_whatever_braces_are_around_its_parts(
    inner: str, before: str
) -> None:
    nested = f"\\frac{{{inner}}}{{{{2}}}}"
    assert boxed_answer(f"{before} \\boxed{{{nested}}} done") == nested


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 5", "5"),
        ("answer: 4\nANSWER: 5", "5"),
        ("**Answer:** 5", "5"),
        ("**Answer: 5**\nBye", "5"),
        ("**Answer**: 5", "5"),
        ("Answer:\n\n  x = 5\nmore", "x = 5"),
        ("Answer: 5\nAnswer:", None),
        ("Myanswer: 5", None),
        ("5", None),
    ],
)
def test_what_follows_the_last_marker_is_the_answer(text: str, answer: str | None) -> None:
    assert answer_after(text) == answer


@pytest.mark.parametrize(
    ("text", "marker", "answer"),
    [("#### 72", "####", "72"), ("a.b 1 axb 2", "a.b", "1 axb 2"), ("Result = 3", "result =", "3")],
)
def test_the_marker_may_be_any_text(text: str, marker: str, answer: str) -> None:
    assert answer_after(text, marker) == answer


@given(st.text(), st.text(string.ascii_letters + string.digits + " ", min_size=1).map(str.strip).filter(bool))
def test_whatever_came_before_the_last_marker_is_the_answer(before: str, answer: str) -> None:
    assert answer_after(f"{before}\nSolution: {answer}", "Solution:") == answer


DRESSED = [
    "{}", " {}\n", "({})", "{}.", "{})", "**{}**", "**({})**", "[{}]", r"\text{{{}}}", r"$\textbf{{({})}}$",
    r"$\boxed{{{}}}$",
    r"So \boxed{{\text{{{}}}}}", r"\boxed{{({})}}", r"\boxed{{{}. Oslo}}", r"\boxed {}", "the answer is {}",
    "The answer is ({}).",
    "Answer: {}", "**Answer:** {}", "**Answer: {}**", "The correct option is **{}**, as shown.",
    "I think option {} is correct.",
    "The answer is {} because it is cold.", "Answer: {}) Oslo", "A dog, as I said. The answer is: $\\mathrm{{{}}}$",
    "Thus ({}).",
    "It's not Bergen.\n{}.\n", "My guess was that the answer is J. Final answer: {}",
    "If the answer is J, no. The answer is {}.",
    "I don't think the answer is J. The answer must be {}",
]  # fmt: skip


@pytest.mark.parametrize("dressed", DRESSED)
@pytest.mark.parametrize("letter", "ABCI")
def test_a_letter_that_the_text_decides_for_is_found(dressed: str, letter: str) -> None:
    assert option_letter(dressed.format(letter)) == letter


@pytest.mark.parametrize(
    "text",
    [
        "I", "A dog", "Because I say so", "The answer is A dog", "The answer is Bob", "The answer is B-flat",
        "DNA", "Vitamin Bx",
        "The answer is not B", "I don't believe the answer is B", "If the answer is B then", "the answer is bad",
        "Is it B or not?",
        "Answer: B or C", "Answer: B, C", "The answer is (A) and (B)", "The answer is A.\nThe answer is B.",
        "(A) (B) (C) (D)",
        "**A** or **B**", "A.\nB.\nC.", r"\boxed{A, B}", r"\boxed{AB}", r"\boxed{Oslo} the answer is B",
        r"\boxed{A or B}",
    ],
)  # fmt: skip
def test_no_letter_and_several_letters_are_no_answer(text: str) -> None:
    assert option_letter(text, "ABCDEFGH") is None


def test_a_letter_that_is_no_option_is_no_answer_and_hides_weaker_ones() -> None:
    assert option_letter("The answer is F, not (B).", "ABCD") is None
    assert option_letter("The answer is F, not (B).", "ABCDEF") == "F"


@given(
    st.text(string.ascii_lowercase + " ,.\n"), st.sampled_from("BCDEFGHJ"), st.text(string.ascii_lowercase, min_size=1)
)
def test_a_letter_inside_a_word_is_never_an_answer(before: str, letter: str, rest: str) -> None:
    for word in (letter + rest, rest + letter, f"{letter}'{rest}", f"{letter}{rest}{letter}"):
        assert option_letter(f"{before} the answer is {word}") is None


@given(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"), st.text(string.ascii_lowercase + " .\n"))
def test_two_statements_agree_or_are_no_answer(one: str, other: str, between: str) -> None:
    text = f"The answer is {one}. {between.replace('if', '')}\nAnswer: {other}"
    assert option_letter(text) == (one if one == other else None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Here:\n```json\n{"a": {"b": [1, {}]}}\n```\nDone {sic}.', {"a": {"b": [1, {}]}}),
        ('{"a": 1} then {"a": 2}', {"a": 2}),
        ('{"a": 1} then {"a": 2', {"a": 1}),
        ('the set {1, 2}, so {"a": "}{"}', {"a": "}{"}),
        ('[{"a": 1}, {"b": 2}]', {"b": 2}),
        ("{}", {}),
        ('{"a": {"b": 1}, oops}', None),
        ('{"a": NaN}', None),
        ('{"a": "\\ud800"}', None),
        ('{"a": 1.2.3}', None),
        ("{'a': 1}", None),
        ('{"a": 1,}', None),
        ("[1]", None),
    ],
)
def test_the_last_valid_object_is_the_answer(text: str, answer: dict[str, Any] | None) -> None:
    assert json_object(text) == answer


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.dictionaries(st.text(), JSON),
    st.text().filter(lambda text: "{" not in text),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_any_object_is_found_in_any_text_before_and_after_it(
    value: dict[str, Any], around: str, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert json_object(f"{around}{text}{around}") == value


@pytest.mark.parametrize("find", FINDERS)
@given(text=st.text() | st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_text_has_an_answer_or_none(find: Callable[[str], Any], text: str) -> None:
    answer = find(text)
    assert answer is None or answer == {} or answer


@pytest.mark.timeout(HANGS_AFTER_S)  # in quadratic time each of them would take hours
@pytest.mark.parametrize("find", FINDERS)
def test_time_grows_with_the_length_of_the_text_and_no_faster(find: Callable[[str], Any]) -> None:
    bombs = [*PIECES, '{"', '{"a":[{},', '[{"a":', '{"a":NaN,', "the answer is ", "A or ", "**_", '{"\\']
    for piece in bombs:
        for text in (piece * 50_000, "Answer:" + piece * 50_000, '{"a":' + piece * 50_000, "\\boxed{" + piece * 50_000):
            find(text)
