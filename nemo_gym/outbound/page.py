"""A fetched page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FetchedPage:
    """What a site answered.

    Attributes:
        url: Where the page was found in the end, after redirects.
        status: HTTP status; 404 is a page as well.
        content_type: e.g. "text/html", in lower case; "application/octet-stream" where the site said nothing.
        charset: As the site named it; None where it did not.
        body: The page, unpacked, at most `FetchPolicy.max_bytes` long.
        truncated: Whether the limit cut off the rest.
    """

    url: str
    status: int
    content_type: str
    charset: str | None
    body: bytes
    truncated: bool

    @property
    def text(self) -> str:
        """The body as text; what does not decode becomes U+FFFD."""
        try:
            return self.body.decode(self.charset or "utf-8", errors="replace")
        except (LookupError, ValueError):  # a charset that does not exist, or is no text encoding
            return self.body.decode("utf-8", errors="replace")
