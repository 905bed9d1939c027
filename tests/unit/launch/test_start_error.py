"""One error out of several that came at once while servers were started."""

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.launch.start_error import StartError, first_failure, refused_settings


def test_mistakes_that_came_at_once_are_all_told() -> None:
    errors = [ConfigError(Mistake("one")), ExceptionGroup("", [ConfigError(Mistake("two"))]), StartError("late")]
    failure = first_failure(ExceptionGroup("", errors))
    assert isinstance(failure, ConfigError)
    assert [mistake.what for mistake in failure.mistakes] == ["one", "two"]


def test_bug_is_not_hidden_behind_a_mistake() -> None:
    bug = KeyError("x")
    assert first_failure(ExceptionGroup("", [ConfigError(Mistake("one")), bug])) is bug


def test_start_error_is_a_mistake_only_when_every_server_refused_its_settings() -> None:
    refused, broken = StartError("a", is_mistake=True), StartError("b")
    assert str(first_failure(ExceptionGroup("", [refused, broken]))) == "a\nb"
    assert [error.exit_status for error in (refused, broken)] == [2, 1]


def test_refused_settings_are_the_lines_from_the_first_config_error_on() -> None:
    output = ["loading", "config error: no such thing", "  where: x"]
    assert refused_settings(output) == output[1:]
    assert refused_settings(["Traceback"]) == []
