"""Mistakes in what the user asked for: what is wrong, where, what is known, how to fix it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from itertools import accumulate, islice
from typing import Any

from nemo_gym.wire.scrubber import KNOWN_SECRETS

_MAX_KNOWN_SHOWN = 20
_MAX_KNOWN_CHARS = 500


@dataclass(frozen=True)
class Mistake:
    """One mistake in what was asked; `str()` gives the lines a person reads.

    Attributes:
        what: What is wrong, in one line.
        where: File (or "command line") and dotted key; None when there isn't a single place.
        known: The names that would have been understood here; empty when they can't be listed.
        fix: What to do about it; None when `what` says it all.
    """

    what: str
    where: str | None = None
    known: Sequence[str] = ()
    fix: str | None = None

    def __str__(self) -> str:
        return self._text("config error")

    def as_warning(self) -> str:
        """Return the same lines for what needn't stop anything."""
        return self._text("config warning")

    def _text(self, label: str) -> str:
        lines = [f"{label}: {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.known:
            lines.append(f"  known: {_shortened(self.known)}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return KNOWN_SECRETS.text("\n".join(lines))


class ConfigError(Exception):
    """One or more mistakes in what was asked; commands show it without traceback and exit with status 2."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__(*mistakes)  # the arguments themselves, so that the exception pickles

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        return self.args

    def __str__(self) -> str:
        texts = [str(mistake) for mistake in self.mistakes]
        if len(texts) > 1:
            texts.append(f"{len(texts)} mistakes")
        return "\n".join(texts)


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name most similar to `name` (difflib ratio >= `cutoff`, in [0, 1]), or None."""
    matches = get_close_matches(name, list(known), n=3, cutoff=cutoff)
    return next((match for match in matches if _is_similar(name, match, cutoff)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return "did you mean 'x'?" for the known name most similar to `name`, or None when none is similar enough."""
    match = closest(name, known)
    return f"did you mean '{match}'?" if match else None


def admitted_names(problem: Any) -> list[str]:
    """Return the names that would do instead, as one of pydantic's errors about an enum or a literal says."""
    return re.findall(r"'([^']*)'", problem["ctx"]["expected"])


def _is_similar(name: str, match: str, cutoff: float) -> bool:
    """Whether they are similar below the folder that both are in: a shared folder alone makes no two paths similar."""
    ours, theirs = name.split("/"), match.split("/")
    while len(ours) > 1 and len(theirs) > 1 and ours[0] == theirs[0]:
        del ours[0], theirs[0]
    return SequenceMatcher(None, "/".join(ours), "/".join(theirs)).ratio() >= cutoff


def _shortened(names: Sequence[str]) -> str:
    sizes = accumulate(len(name) for name in names)
    count = sum(1 for size in islice(sizes, _MAX_KNOWN_SHOWN) if size <= _MAX_KNOWN_CHARS) or 1
    more = len(names) - count
    shown = ", ".join(names[:count])
    return f"{shown} and {more} more" if more > 0 else shown
