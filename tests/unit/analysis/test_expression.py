"""Conditions over task profiles: what they may say, and what their errors say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.analysis.expression import Condition
from nemo_gym.config.errors import ConfigError

FIELDS = ["pass_rate", "n", "steps"]
VALUES = {"pass_rate": 0.5, "n": 4, "steps": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("pass_rate > 0.1 and pass_rate < 0.9", True),
        ("0.1 < pass_rate <= 0.5", True),
        ("not (pass_rate == 0.5 or n != 4)", False),
        ("n * pass_rate - 2 >= -0 + 0", True),
        ("steps > 0", False),
        ("steps <= 0", False),
        ("not steps > 0", True),
        ("n / 0 > 1", False),
        ("True", True),
        ("  n == 4\n", True),
    ],
)
def test_condition_is_what_it_reads_like(text: str, holds: bool) -> None:
    assert Condition(text, FIELDS)(VALUES) is holds


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "pass_rate.__class__ > 1",
        "pass_rate > 1 if n else 2",
        "[n][0] > 1",
        "n ** 9 > 1",
        "n in (1, 2)",
        "n is 4",
        "(lambda: 1)() > 0",
        "n > '3'",
        "n > 1j",
        "n << 3 > 1",
        "(x := 3) > 2",
        "n > pass_rate > True",
        "f'{n}' > 1",
    ],
)
def test_what_is_not_allowed_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigError, match=r"isn't allowed in a condition(.*\n)*.*allowed: numbers, fields"):
        Condition(text, FIELDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "pas_rate > 0.1",
            r"no field named 'pas_rate'(.*\n)*.*known: pass_rate, n, steps(.*\n)*.*did you mean 'pass_rate'",
        ),
        ("pass_rate >", "can't be read"),
        ("", "can't be read"),
        ("n = 3", "can't be read"),
        ("n", "neither true nor false"),
        ("n > 1 and pass_rate", "'pass_rate' is neither true nor false"),
        ("n > 1" + " " * 1_000 + "or n < 1", "longer than 1000 characters"),
        ("-" * 200 + "1 > 0", "nested deeper than 50"),
        ("not " * 200 + "n > 0", "nested deeper than 50"),
        ("(" * 400 + "n > 0" + ")" * 400, "can't be read"),
        ("n > 0\x00", "can't be read"),
    ],
    ids=["field", "half", "empty", "assignment", "number", "part", "long", "minus", "not", "parentheses", "null"],
)
def test_a_mistake_is_named_with_how_to_write_it(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Condition(text, FIELDS)


@given(st.text(alphabet="pass_rte n.<>=!()+-*/0129andorot'[]:,", max_size=40))
def test_any_text_is_a_condition_or_a_mistake(text: str) -> None:
    try:
        condition = Condition(text, FIELDS)
    except ConfigError:
        return
    assert condition(VALUES) in (True, False)
