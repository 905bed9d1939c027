import math

import pytest

from nemo_gym.judge import Verdict, json_parser, label_parser, score_parser

SAME = {"[[A=B]]": 1.0, "[[A!=B]]": 0.0}
WORDS = {"CORRECT": 1.0, "INCORRECT": 0.0, "PARTLY CORRECT": 0.5, "CORRECT IN PART": 0.25}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("They are the same. [[A=B]]", "[[A=B]]"),
        ("I choose between [[A=B]] and [[A!=B]]. Both say 4, so [[A=B]].", "[[A=B]]"),
        ("First [[A=B]], but no: **[[A!=B]]**", "[[A!=B]]"),
        ("[[a=b]]", None),
        ("A=B", None),
        ("", None),
    ],
)
def test_the_last_label_counts(text: str, said: str | None) -> None:
    expected = None if said is None else Verdict(said, SAME[said])
    assert label_parser(SAME)(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Verdict: INCORRECT", "INCORRECT"),
        ("CORRECT.", "CORRECT"),
        ("PARTLY CORRECT", "PARTLY CORRECT"),
        ("CORRECT IN PART", "CORRECT IN PART"),
        ("CORRECTLY spelt", None),
        ("UNCORRECT", None),
        ("CORRECT, I thought; INCORRECT_LY", "CORRECT"),
    ],
)
def test_a_label_that_is_a_word_is_not_found_inside_another(text: str, said: str | None) -> None:
    verdict = label_parser(WORDS)(text)
    assert (verdict and verdict.said) == said


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("Score: 7/10", 0.7),
        ("**Score:** 10", 1.0),
        ("score = 0 / 10.", 0.0),
        ("My score: 2.5", 0.25),
        ("Score: 3/10 at first, then Score: 9/10", 0.9),
        ("Score: 9/10, no, Score: 11/10", None),
        ("Score: 85/100", None),
        ("Score: 7/100", None),
        ("Score: -1", None),
        ("Score: high", None),
        ("The underscore: 7", None),
        ("7/10", None),
    ],
)
def test_the_last_score_is_made_a_reward_and_one_of_another_scale_is_none(text: str, reward: float | None) -> None:
    verdict = score_parser(0, 10)(text)
    assert (verdict and verdict.reward) == (reward if reward is None else pytest.approx(reward))


def test_a_score_may_have_a_pattern_and_a_range_of_its_own() -> None:
    parse = score_parser(1, 5, r"Rating: (\S+)")
    assert parse("Rating: 3") == Verdict("Rating: 3", 0.5)
    assert parse("Rating: three") is None
    assert parse("Rating: nan") is None
    assert parse("Rating: inf") is None


@pytest.mark.parametrize(("low", "high", "pattern"), [(5, 5, "(x)"), (5, 1, "(x)"), (math.nan, 1, "(x)"), (0, 1, "x")])
def test_a_score_parser_without_a_range_or_a_group_is_refused(low: float, high: float, pattern: str) -> None:
    with pytest.raises(ValueError, match="needs low < high"):
        score_parser(low, high, pattern)


@pytest.mark.parametrize("labels", [{}, {"": 1.0}])
def test_a_label_parser_without_labels_is_refused(labels: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs labels"):
        label_parser(labels)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ('{"reason": "is false", "correct": true}', 1.0),
        ('{"correct": "false"}', 0.0),
        ('{"correct": null}', None),
        ('{"reason": "true"}', None),
        ("[true]", None),
        ("true", None),
        ('{"correct": tru', None),
    ],
)
def test_one_field_of_a_json_answer_is_read_by_another_parser(text: str, reward: float | None) -> None:
    verdict = json_parser("correct", label_parser({"true": 1.0, "false": 0.0}))(text)
    assert (verdict and verdict.reward) == reward
