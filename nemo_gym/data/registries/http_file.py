"""A file behind a URL: fetched in pieces, continued where it was cut off, bounded in time."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from nemo_gym.data.registries.checksums import Checksum
from nemo_gym.data.registries.errors import RegistryError, failing_as

_BLOCK = 1 << 16  # what a connection that breaks loses at most
_MAX_TEXT_BYTES = 65_536


@dataclass(frozen=True)
class Patience:
    """How long a registry is waited for.

    Attributes:
        connect_s: For a connection.
        silence_s: Between two pieces of an answer.
        attempts: In a row without a single new byte.
        pause_s: Before the second attempt; it doubles with each further one.
        total_s: For one file.
    """

    connect_s: float = 10.0
    silence_s: float = 30.0
    attempts: int = 4
    pause_s: float = 1.0
    total_s: float = 6 * 3600.0


@dataclass(frozen=True)
class HttpFile:
    """One file of a registry.

    Attributes:
        url: Where it is.
        headers: Sent along, e.g. the token; `requests` drops `Authorization` when redirected to another host.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    patience: Patience = Patience()

    def text(self) -> str | None:
        """Return the content of a small file; None where it doesn't exist; raises RegistryError."""
        with self._answer({}) as answer:
            if answer.status_code == 404:
                return None
            self._check(answer)
            return _beginning(answer, _MAX_TEXT_BYTES)

    def sha256(self) -> Checksum:
        """Read the whole file for its checksum; raises RegistryError."""
        digest = hashlib.sha256()
        with self._answer({}) as answer:
            self._check(answer)
            for block in answer.iter_content(_BLOCK):
                digest.update(block)
        return Checksum("sha256", digest.hexdigest())

    def fetch(self, partial: Path) -> None:
        """Append what is missing to `partial`, which may hold the beginning of the file.

        Raises:
            RegistryError: The file isn't to be had; what came so far stays in `partial`.
        """
        give_up = time.monotonic() + self.patience.total_s
        failed, pause_s = 0, self.patience.pause_s
        while True:
            before = _size(partial)
            try:
                self._append(partial, give_up)
                return
            except RegistryError:
                failed, pause_s = (0, self.patience.pause_s) if _size(partial) > before else (failed + 1, pause_s)
                if failed >= self.patience.attempts or time.monotonic() + pause_s > give_up:
                    raise
                time.sleep(pause_s)
                pause_s *= 2

    def _append(self, partial: Path, give_up: float) -> None:
        """Send one request for the rest, and write what comes of it."""
        start = _size(partial)
        with self._answer({"Range": f"bytes={start}-"} if start else {}) as answer:
            if answer.status_code == 416:  # nothing is left after what is there
                return
            self._check(answer)
            if start and answer.status_code != 206:
                start = 0  # a server that can't begin in the middle
            with partial.open("r+b" if partial.exists() else "w+b") as file:
                file.truncate(start)
                file.seek(start)
                for block in answer.iter_content(_BLOCK):
                    file.write(block)
                    if time.monotonic() > give_up:
                        raise RegistryError(f"fetching {self.url}", f"took longer than {self.patience.total_s:g} s")

    @contextmanager
    def _answer(self, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        # Not packed on the way: ranges and lengths are those of the file itself.
        sent = {**self.headers, "Accept-Encoding": "identity", **headers}
        timeouts = (self.patience.connect_s, self.patience.silence_s)
        with (
            failing_as(f"fetching {self.url}", requests.RequestException),
            requests.get(self.url, headers=sent, stream=True, timeout=timeouts) as answer,
        ):
            yield answer

    def _check(self, answer: requests.Response) -> None:
        if answer.status_code >= 400:
            raise RegistryError(f"fetching {self.url}", f"status {answer.status_code}: {_beginning(answer, 400)}")


def _beginning(answer: requests.Response, max_bytes: int) -> str:
    content: bytes = next(answer.iter_content(max_bytes), b"")
    return content.decode(errors="replace")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
