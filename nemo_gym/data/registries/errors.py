"""What goes wrong between here and a registry, as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.secrets import mask_text
from nemo_gym.wire.scrubber import KNOWN_SECRETS

_MAX_REASON_CHARS = 400


class RegistryError(Exception):
    """A registry didn't do what it was asked: it is unreachable, refused, hung up, or sent something else."""

    def __init__(self, doing: str, reason: str) -> None:
        clean = " ".join(mask_text(KNOWN_SECRETS.text(reason)).split())
        super().__init__(f"{doing} failed: {clean[:_MAX_REASON_CHARS]}")


@contextmanager
def failing_as(doing: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds, and of the network, into a RegistryError that says what was being done."""
    caught: tuple[type[Exception], ...] = (*kinds, OSError)
    try:
        yield
    except caught as error:
        raise RegistryError(doing, f"{type(error).__name__}: {error}") from error


def require_extra(module: str, extra: str) -> None:
    """Raise ConfigError when the official client of a registry isn't installed."""
    if find_spec(module) is None:
        fix = f"pip install 'nemo-gym[{extra}]'"
        raise ConfigError(Mistake(f"this needs the package {module}, which isn't installed", fix=fix))
