"""Checksums of files: what a registry says about a file, compared with what is here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Algorithm = Literal["sha256", "git-sha1"]


@dataclass(frozen=True)
class Checksum:
    """A digest in hexadecimal. "git-sha1" is git's name for a file's content, as `git hash-object` prints it."""

    algorithm: Algorithm
    digest: str

    def matches(self, path: Path) -> bool:
        """Tell whether a file has this checksum; raises OSError."""
        return checksum_of(path, self.algorithm) == self


def checksum_of(path: Path, algorithm: Algorithm = "sha256") -> Checksum:
    """Return the checksum of a file, read in pieces; raises OSError."""
    # SHA-1 is what git uses, not what protects anything.
    digest = hashlib.sha256() if algorithm == "sha256" else hashlib.sha1(usedforsecurity=False)
    if algorithm == "git-sha1":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return Checksum(algorithm, digest.hexdigest())


def sha256_line(path: Path) -> str:
    """Return the line that `sha256sum` prints, which registries without checksums keep beside a file."""
    return f"{checksum_of(path).digest}  {path.name}\n"


def read_sha256_line(text: str) -> Checksum | None:
    """Return the checksum in such a line; None where it isn't one."""
    digest = text.split(maxsplit=1)[0].lower() if text.strip() else ""
    is_digest = len(digest) == 64 and all(letter in "0123456789abcdef" for letter in digest)
    return Checksum("sha256", digest) if is_digest else None
