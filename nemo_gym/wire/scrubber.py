"""The secrets this process knows, taken out of every text that leaves it: failures, error answers, log lines."""

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "****"

_MIN_CHARS = 8
_MIN_DISTINCT_CHARS = 5
# Written where an endpoint wants no key; masking them would garble texts that mean something else.
_PLACEHOLDERS = frozenset(
    [
        "dummy_key",
        "dummy-key",
        "dummy_api_key",
        "dummy-api-key",
        "not-needed",
        "not_needed",
        "no-key-required",
        "sk-no-key-required",
        "placeholder",
        "changeme",
        "change-me",
        "your-api-key",
        "your_api_key",
        "undefined",
        "password",
        "localhost",
        "anything",
    ]
)


def is_telling(value: str) -> bool:
    """Tell whether a secret is worth hiding in running text: 8 characters or more, and no placeholder."""
    if len(value) < _MIN_CHARS or len(set(value)) < _MIN_DISTINCT_CHARS:
        return False
    return value.lower() not in _PLACEHOLDERS


class Scrubber:
    """Replaces known secrets by "****", as they are or escaped as in JSON, in a URL or in base64.

    A piece of a secret at the very end of a text goes too, where it has 8 characters or more: whoever cut the text
    didn't know about the secret. Secrets that are not telling (see `is_telling`) stay.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these too from now on."""
        forms = {*self._forms, *(form for secret in secrets if is_telling(secret) for form in _forms(secret))}
        if len(forms) > len(self._forms):
            self._forms = tuple(sorted(forms, key=len, reverse=True))  # the longest first: one may contain another
            self._pattern = re.compile("|".join(map(re.escape, self._forms)))

    def text(self, text: str) -> str:
        """Return the text without the secrets."""
        if self._pattern is None:
            return text
        return self._without_piece_at_end(self._pattern.sub(MASK, text))

    def cut(self, text: str, max_chars: int) -> str:
        """Return at most `max_chars` of the text, without the secrets; of a huge text only the beginning is read."""
        reach = len(self._forms[0]) if self._forms else 0
        clean = self.text(text[: max_chars + reach])
        if len(text) > max_chars + reach:
            clean = clean[: len(clean) - reach]  # where the cut went through a secret, a piece of it is in there
        return clean[:max_chars]

    def plain(self, value: Any) -> Any:
        """Return a copy of plain containers whose texts are without the secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key) if isinstance(key, str) else key: self.plain(item) for key, item in value.items()}
        return [self.plain(item) for item in value] if isinstance(value, list | tuple) else value

    def _without_piece_at_end(self, text: str) -> str:
        for form in self._forms:
            start = text.find(form[:_MIN_CHARS], max(0, len(text) - len(form)))
            while start >= 0:
                if form.startswith(text[start:]):
                    return text[:start] + MASK
                start = text.find(form[:_MIN_CHARS], start + 1)
        return text


def _forms(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, ""), encoded}


KNOWN_SECRETS = Scrubber()
"""What this process knows: filled where a configuration is read."""
