"""What the bare status of an error answer means, where no failure comes with it."""

# Of the statuses that say "your request", these say something else: who asks, how long it took, or a clash.
_NOT_ABOUT_THE_INPUT = frozenset({401, 407, 408, 409, 425, 429})


def kind_of_status(status: int, otherwise: str) -> str:
    """Return the failure kind of an HTTP status >= 400; `otherwise` where the status alone does not tell."""
    if status == 409:
        return "session_lost"
    return "input_invalid" if 400 <= status < 500 and status not in _NOT_ABOUT_THE_INPUT else otherwise
