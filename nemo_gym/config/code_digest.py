"""A digest of a component's code, so that a verifier that was changed between two starts is noticed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

_CODE = (".py", ".txt")  # .txt: requirements, and prompts that a verifier reads
_NOT_CODE = frozenset({"tests", "data", "venv", "node_modules", "results", "outputs"})
_DIGEST_BYTES = 16


def component_digest(folder: Path) -> str | None:
    """Return the digest of a component folder's code and requirements, 32 hexadecimal digits.

    Read are `*.py` and `*.txt` (requirements, prompts), in folders below as well, and `pyproject.toml`; not tests,
    data, caches, or anything hidden. Where the folder is does not matter, nor do times and permissions.

    Args:
        folder: `<kind>/<implementation>`.

    Returns:
        BLAKE2b over names and contents; None when the folder holds no code that can be read.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    found = False
    try:
        for file in sorted(_code_files(folder)):
            name, content = file.relative_to(folder).as_posix().encode(), file.read_bytes()
            digest.update(b"%d %d " % (len(name), len(content)) + name + content)
            found = True
    except OSError:
        return None
    return digest.hexdigest() if found else None


def _code_files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.is_dir():
            if entry.name not in _NOT_CODE and not entry.is_symlink():
                yield from _code_files(entry)
        elif entry.suffix in _CODE or entry.name == "pyproject.toml":
            yield entry
