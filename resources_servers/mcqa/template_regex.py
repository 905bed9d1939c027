"""What a task's own regular expression finds. It may backtrack for ever, so this runs as heavy work."""

import re


def template_matches(pattern: str, text: str) -> list[str]:
    """Return what each match says, in order: its first group that isn't empty; without groups, all of it.

    Raises:
        re.error: `pattern` isn't a regular expression.
    """
    found = []
    for match in re.finditer(pattern, text, re.IGNORECASE):
        said = next((group for group in match.groups() if group), "") if match.re.groups else match[0]
        if said.strip():
            found.append(said.strip())
    return found
