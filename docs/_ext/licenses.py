"""The licenses of what the package depends on: read from what is installed, checked, and made into a page.

`python docs/_ext/licenses.py` checks by itself, and fails also when a package of an extra isn't installed.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
_OPENING = (
    "At the end of this page you know the license of every package that NeMo Gym brings along. A minute to look one up."
    " NeMo Gym itself is licensed under Apache-2.0; the others as their own metadata says."
)
ALLOWED = {
    *("MIT", "MIT-0", "MIT-CMU", "BSD", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "Zlib"),
    *("CC0-1.0", "Unlicense"),
    "MPL-2.0",  # binds changes to its own files, of which there are none here
}
# Packages that state their license in words: as classifiers, or in the old field.
_IN_WORDS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True)
class Licensed:
    """A package, who asks for it, and its license as an SPDX expression."""

    name: str
    asked_by: str
    license: str

    @property
    def is_allowed(self) -> bool:
        """Whether each part that is joined by AND has an allowed alternative."""
        parts = re.split(r" AND ", self.license.replace("(", "").replace(")", ""))
        return all(any(each in ALLOWED for each in part.split(" OR ")) for part in parts)


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx looks for sources."""
    app.connect("builder-inited", _write_page)
    return {"parallel_read_safe": True}


def dependencies() -> tuple[list[Licensed], list[str]]:
    """Return every package that the package and its extras bring along, and the names of those not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "dev"}
    found: dict[str, Licensed] = {}
    missing: list[str] = []
    for asked_by, lines in {"": project["dependencies"], **extras}.items():
        for name, installed in _closure(lines):
            if installed is None:
                missing.append(name)
            else:
                found.setdefault(name, Licensed(name, asked_by, license_of(installed)))
    return list(found.values()), missing


def license_of(installed: Distribution) -> str:
    """Return the license that a package's metadata states, as an SPDX expression where they allow that."""
    metadata = installed.metadata
    expression = metadata.get("License-Expression")
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License :: ")]
    stated = [line.rpartition(" :: ")[2] for line in classifiers if not line.endswith("OSI Approved")]
    in_words = stated or [(metadata.get("License") or "not stated").splitlines()[0]]
    return expression or " OR ".join(_IN_WORDS.get(words, words) for words in in_words)


def _closure(lines: Iterable[str]) -> Iterator[tuple[str, Distribution | None]]:
    """Yield the packages of requirements and what those require in turn, on this platform."""
    waiting, seen = [each for each in map(Requirement, lines) if _applies(each, {""})], set[str]()
    while waiting:
        wanted = waiting.pop(0)
        name = canonicalize_name(wanted.name)
        key = f"{name}{sorted(wanted.extras)}"
        if key in seen:
            continue
        seen.add(key)
        try:
            installed = distribution(wanted.name)
        except PackageNotFoundError:
            yield name, None
            continue
        yield name, installed
        for inner in map(Requirement, installed.requires or []):
            if _applies(inner, {"", *wanted.extras}):
                waiting.append(inner)


def _applies(wanted: Requirement, extras: Iterable[str]) -> bool:
    return wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras)


def _write_page(app: Any) -> None:
    lines = ["# Licenses", "", _OPENING]
    lines += ["", "| package | comes with | license |", "| --- | --- | --- |"]
    for each in sorted(dependencies()[0], key=lambda one: (one.asked_by, one.name)):
        extra = f"extra `{each.asked_by}`" if each.asked_by else "`nemo-gym`"
        lines.append(f"| {each.name} | {extra} | {each.license} |")
    path = Path(app.srcdir) / "reference" / "licenses.md"
    path.parent.mkdir(exist_ok=True)
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text() != text:  # what is unchanged isn't built again
        path.write_text(text)


def main() -> int:
    """Check everything that is installed here; return 1 when a license isn't allowed or a package is missing."""
    found, missing = dependencies()
    refused = [each for each in found if not each.is_allowed]
    for each in refused:
        sys.stderr.write(f"{each.name}: {each.license!r} isn't an allowed license; replace it, or add it to ALLOWED\n")
    for name in missing:
        sys.stderr.write(f"{name} isn't installed, so its license isn't known\n")
    sys.stdout.write(f"{len(found)} packages; not allowed: {len(refused)}; not installed: {len(missing)}\n")
    return 1 if refused or missing else 0


if __name__ == "__main__":
    sys.exit(main())
