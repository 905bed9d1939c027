"""`fetch`: get one page from outside, and reach nothing inside."""

import asyncio

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from nemo_gym.outbound.address_bar import checked_url
from nemo_gym.outbound.bounded_body import ACCEPT_ENCODING, read_bounded
from nemo_gym.outbound.checked_resolver import CheckedResolver
from nemo_gym.outbound.error import FetchError
from nemo_gym.outbound.page import FetchedPage
from nemo_gym.outbound.policy import FetchPolicy

_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_DEFAULT_POLICY = FetchPolicy()


async def fetch(
    url: str, policy: FetchPolicy = _DEFAULT_POLICY, *, resolver: AbstractResolver | None = None
) -> FetchedPage:
    """Get a page whose address a model chose.

    Reached are public addresses only, checked on the very address that is connected to, anew for each redirect. No
    cookies, no proxy from the environment, no credentials, nothing kept between two calls.

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
        resolver=CheckedResolver(resolver or aiohttp.ThreadedResolver(), policy),
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
    except ValueError as error:
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
