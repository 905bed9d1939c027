"""`fetch`: get one page from outside, and reach nothing inside."""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from nemo_gym.outbound.bounded_body import ACCEPT_ENCODING, read_bounded
from nemo_gym.outbound.error import FetchError
from nemo_gym.outbound.policy import FetchPolicy, checked_url

_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_DEFAULT_POLICY = FetchPolicy()


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
        except (LookupError, ValueError):  # a charset that does not exist, or isn't an encoding of text
            return self.body.decode("utf-8", errors="replace")


async def fetch(
    url: str, policy: FetchPolicy = _DEFAULT_POLICY, *, resolver: AbstractResolver | None = None
) -> FetchedPage:
    """Get a page whose address a model chose.

    Only public addresses are reached; the check is made on the very address that is connected to, again for each
    redirect. No cookies, no proxy from the environment, no credentials, nothing kept between two calls.

    Args:
        url: With scheme; whatever the model wrote.
        policy: What may be reached, and how much.
        resolver: Who turns names into addresses; None is the system. It is not closed.

    Raises:
        FetchError: No page; its text is for the policy to read.
    """
    try:
        async with asyncio.timeout(policy.timeout_s), _session(policy, resolver) as session:
            return await _follow(session, url, policy)
    except TimeoutError as error:
        raise FetchError("timeout") from error
    except (aiohttp.ClientError, OSError) as error:
        raise FetchError("unreachable") from error


def _session(policy: FetchPolicy, resolver: AbstractResolver | None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=_CheckedResolver(resolver or aiohttp.ThreadedResolver(), policy),
        use_dns_cache=False,
        force_close=True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": policy.user_agent, "Accept-Encoding": ACCEPT_ENCODING},
    )


async def _follow(session: aiohttp.ClientSession, url: str, policy: FetchPolicy) -> FetchedPage:
    here = checked_url(url, policy)
    for _ in range(policy.max_redirects + 1):
        async with session.get(here, allow_redirects=False) as response:
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                return await _page(response, policy)
        here = checked_url(_joined(here, target), policy)
    raise FetchError("too_many_redirects")


def _joined(here: URL, target: str) -> URL:
    try:
        return here.join(URL(target))
    except (ValueError, LookupError) as error:
        raise FetchError("bad_url") from error


async def _page(response: aiohttp.ClientResponse, policy: FetchPolicy) -> FetchedPage:
    body, truncated = await read_bounded(response, policy.max_bytes)
    return FetchedPage(
        url=str(response.url),
        status=response.status,
        content_type=response.content_type.lower(),
        charset=response.charset,
        body=body,
        truncated=truncated,
    )


class _CheckedResolver(AbstractResolver):
    """Gives the connector the addresses of another resolver, or refuses them all when one may not be reached.

    The connector must not cache and connects to the answer itself, so a name server that gives a public address first
    and an internal one later gains nothing: each connection stands on one answer, and that one was checked.
    """

    def __init__(self, resolver: AbstractResolver, policy: FetchPolicy) -> None:
        self._resolver = resolver
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the checked addresses; FetchError where the name has none, or one that may not be reached."""
        try:
            found = await self._resolver.resolve(host, port, family)
            addresses = [ip_address(answer["host"]) for answer in found]
        except (OSError, ValueError) as error:
            raise FetchError("not_found") from error
        if not all(self._policy.may_reach(address) for address in addresses):
            raise FetchError("address_not_allowed")
        return found

    async def close(self) -> None:
        """Do nothing: the other resolver belongs to whoever made it."""
