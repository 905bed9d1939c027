"""Why a run could not be started, in words for the person at the keyboard."""

from itertools import takewhile

from nemo_gym.config.errors import ConfigError

_MISTAKE = "config error:"
_LOGGED = "ERROR:"  # what uvicorn adds when a server's own startup found the mistake


class StartError(Exception):
    """The run could not be started. `is_mistake`: a server refused its settings, so what was asked is at fault."""

    def __init__(self, message: str, *, is_mistake: bool = False) -> None:
        super().__init__(message)
        self.is_mistake = is_mistake

    @property
    def exit_status(self) -> int:
        """Return what a command ends with: 2 for a mistake in what was asked, else 1."""
        return 2 if self.is_mistake else 1


def refused_settings(output: list[str]) -> list[str]:
    """Return the part of a server's last lines that names mistakes in its settings; empty when there is none."""
    first = next((index for index, line in enumerate(output) if line.startswith(_MISTAKE)), len(output))
    return list(takewhile(lambda line: not line.startswith(_LOGGED), output[first:]))


def first_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one exception for what failed while servers were started in parallel.

    Mistakes are joined, so that all are read at once; a bug in our code comes first and as it is.
    """
    leaves = _leaves(group)
    bugs = [leaf for leaf in leaves if not isinstance(leaf, ConfigError | StartError)]
    if bugs:
        return bugs[0]
    configs = [leaf for leaf in leaves if isinstance(leaf, ConfigError)]
    if configs:
        return ConfigError(*(mistake for leaf in configs for mistake in leaf.mistakes))
    starts = [leaf for leaf in leaves if isinstance(leaf, StartError)]
    return StartError("\n".join(map(str, starts)), is_mistake=all(leaf.is_mistake for leaf in starts))


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
