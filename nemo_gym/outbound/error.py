"""Why a page was not fetched, in words the policy may read."""

from typing import Literal

FetchErrorKind = Literal[
    "bad_url",
    "credentials_in_url",
    "scheme_not_allowed",
    "port_not_allowed",
    "site_not_allowed",
    "address_not_allowed",
    "not_found",
    "unreachable",
    "timeout",
    "too_many_redirects",
    "unreadable",
]

# One sentence for three kinds: the policy must not learn which names exist inside the network, nor where they lead.
_CANNOT_BE_REACHED = "This address cannot be reached from here."
_SENTENCES: dict[FetchErrorKind, str] = {
    "bad_url": "This is not the address of a web page.",
    "credentials_in_url": "An address with a user name or password in it cannot be fetched.",
    "scheme_not_allowed": "Addresses of this scheme cannot be fetched.",
    "port_not_allowed": "Addresses with this port cannot be fetched.",
    "site_not_allowed": "This site may not be visited.",
    "address_not_allowed": _CANNOT_BE_REACHED,
    "not_found": _CANNOT_BE_REACHED,
    "unreachable": _CANNOT_BE_REACHED,
    "timeout": "The page did not arrive in time.",
    "too_many_redirects": "The page redirects too many times.",
    "unreadable": "The page arrived in a form that cannot be read.",
}


class FetchError(Exception):
    """A page that was not fetched. `str()` is for the policy and names no address; the cause is for the log.

    Attributes:
        kind: What happened.
    """

    def __init__(self, kind: FetchErrorKind) -> None:
        super().__init__(_SENTENCES[kind])
        self.kind = kind

    def __reduce__(self) -> tuple[type["FetchError"], tuple[FetchErrorKind]]:
        return type(self), (self.kind,)
