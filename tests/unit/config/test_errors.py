"""How mistakes read."""

import pickle

from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean


def test_mistake_renders_aligned_lines() -> None:
    mistake = Mistake(
        "no server named 'math_judg'", "math.yaml, key a.b", ["math_with_judge", "mcqa"], "did you mean it?"
    )
    assert str(mistake).splitlines() == [
        "config error: no server named 'math_judg'",
        "  where: math.yaml, key a.b",
        "  known: math_with_judge, mcqa",
        "  fix:   did you mean it?",
    ]


def test_mistake_without_details_is_one_line() -> None:
    assert str(Mistake("nothing to do")) == "config error: nothing to do"


def test_mistake_with_many_known_names_is_shortened() -> None:
    assert str(Mistake("x", known=[str(number) for number in range(50)])).endswith("19 and 30 more")


def test_mistake_with_long_known_names_stays_short() -> None:
    assert str(Mistake("x", known=["a" * 200] * 9)).endswith(" and 7 more")


def test_config_error_with_several_mistakes_counts_them() -> None:
    assert str(ConfigError(Mistake("a"), Mistake("b"))) == "config error: a\nconfig error: b\n2 mistakes"


def test_config_error_survives_pickling() -> None:
    error = ConfigError(Mistake("a", known=["x"]))
    assert pickle.loads(pickle.dumps(error)).mistakes == error.mistakes


def test_did_you_mean_without_a_near_name_is_silent() -> None:
    assert did_you_mean("math_judg", ["math_judge"]) == "did you mean 'math_judge'?"
    assert did_you_mean("weather", ["math_judge"]) is None


def test_paths_that_share_only_their_folder_are_not_alike() -> None:
    known = ["resources_servers/mcqa", "resources_servers/weather/configs/weather.yaml"]
    assert did_you_mean("resources_servers/nope", known) is None
    assert did_you_mean("resources_servers/wether/configs/weather.yaml", known) == f"did you mean '{known[1]}'?"
