"""TLS contexts that follow their files: what is replaced on disk is used from the next connection on."""

import logging
import os
import ssl
from collections.abc import Callable

from nemo_gym.config.errors import ConfigError

_log = logging.getLogger("nemo_gym.tls")


class RenewableContext:
    """A context that is made again once its files have been replaced.

    New files that can't be used, because they are only written in part or don't belong together, are left alone until
    they change again; the context made before stays in use.

    Args:
        make: Makes a context of the files; raises ConfigError for what can't be used.
        files: Their paths.
    """

    def __init__(self, make: Callable[..., ssl.SSLContext], *files: str) -> None:
        self._make = make
        self._files = files
        self._versions = self._versions_now()
        self._context = make(*files)

    def now(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        versions = self._versions_now()
        if versions != self._versions:
            self._versions = versions  # noted before they are read: what changes meanwhile is read again
            self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            # A new one: a context that has taken a certificate and refused its key can't be used any more.
            self._context = self._make(*self._files)
        except ConfigError as error:
            _log.warning("%s; what was there before stays in use", error.mistakes[0].what)
        else:
            _log.info("new connections use what is in %s now", ", ".join(self._files))

    def _versions_now(self) -> list[tuple[int, int, int] | None]:
        return [_version(path) for path in self._files]


def _version(path: str) -> tuple[int, int, int] | None:
    """Return what tells a file from what replaces it; links are followed, as certbot and Kubernetes exchange those."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
