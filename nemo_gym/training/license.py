"""The license of the task data: where it is stated, and what its name says about training."""

import re
from dataclasses import dataclass

from nemo_gym.collections.manifest import Manifest
from nemo_gym.config.errors import ConfigError, Mistake

# What a name says, in words that licenses and their short names use (SPDX identifiers among them).
_FORBIDS = (
    (r"\bND\b|no[ -]?deriv", "no derivatives"),
    (r"all[ -]rights[ -]reserved|\bproprietary\b", "all rights reserved"),
    (r"eval(uation)?[ -]only|\bno[ -](ai[ -])?train", "not for training"),
)
_CONDITIONS = (
    (r"\bNC\b|non-?commercial|research[ -]only", "noncommercial use only"),
    (r"\bSA\b|share-?alike", "share alike"),
    (r"\bBY\b|attribution", "attribution"),
)


@dataclass(frozen=True)
class LicenseNote:
    """What is known of the license.

    Attributes:
        stated: Licenses by data set; "" is what the person who exports said. Empty: nobody stated one.
        conditions: What their names ask for, e.g. "attribution".
        forbids: What in their names seems to forbid training.
    """

    stated: dict[str, str]
    conditions: list[str]
    forbids: list[str]

    @property
    def words(self) -> str:
        """One line for a person."""
        if not self.stated:
            return "not stated"
        names = ", ".join(dict.fromkeys(self.stated.values()))
        return f"{names} ({', '.join(self.conditions)})" if self.conditions else names


def license_note(given: str | None, manifest: Manifest | None) -> LicenseNote:
    """Return what is known of the license of a collection's tasks: what is given, else what its manifest states."""
    stated = {"": given} if given is not None else dict(manifest.licenses) if manifest is not None else {}
    return LicenseNote(stated, _found(_CONDITIONS, stated), _found(_FORBIDS, stated))


def check_license(note: LicenseNote, *, is_accepted: bool) -> None:
    """Raise ConfigError for a license that seems to forbid training, unless that was accepted."""
    if note.forbids and not is_accepted:
        mistake = Mistake(
            f"the license of the task data seems to forbid this: {note.words} ({', '.join(note.forbids)})",
            where="license",
            fix="if you may use the data for training all the same: +accept_license=true, which the manifest records",
        )
        raise ConfigError(mistake)


def _found(patterns: tuple[tuple[str, str], ...], stated: dict[str, str]) -> list[str]:
    # "CC-BY-NC-4.0" and "CC_BY_NC": each part is a word.
    texts = [name.replace("_", "-") for name in stated.values()]
    return [meaning for pattern, meaning in patterns if any(re.search(pattern, text, re.IGNORECASE) for text in texts)]
