"""Fetching over real sockets: what arrives, and what no request goes out for."""

import asyncio
import gzip
import pickle
import zlib

import pytest

from nemo_gym.outbound_fetch import FetchError, FetchErrorKind, fetch
from tests.bounds import HANGS_AFTER_S
from tests.unit.outbound.conftest import Names, Site, open_site, page, redirect

TO_SITE = ["127.0.0.1"]


async def _refusal(url: str, site: Site, resolver: Names | None = None, **settings: object) -> FetchErrorKind:
    with pytest.raises(FetchError) as refusal:
        await fetch(url, site.policy(**settings), resolver=resolver)
    assert "127." not in str(refusal.value)
    assert "169." not in str(refusal.value)
    return refusal.value.kind


async def test_page_arrives_with_the_sites_name_kept(site: Site) -> None:
    site.answers["/a?b=1"] = page("grüß".encode("latin-1"), "Content-Type: Text/HTML; charset=latin-1")
    found = await fetch(f"http://Site.Test:{site.port}/a?b=1#part", site.policy(), resolver=Names(TO_SITE))
    assert (found.status, found.content_type, found.text, found.truncated) == (200, "text/html", "grüß", False)
    assert f"host: site.test:{site.port}\r\n".encode() in site.requests[0].lower()


async def test_error_page_is_a_page(site: Site) -> None:
    site.answers["/"] = page(b"gone", status="404 Not Found")
    assert (await fetch(f"http://127.0.0.1:{site.port}/", site.policy())).status == 404


async def test_tls_asks_for_the_name_and_not_the_address() -> None:
    hello = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(2000))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        site = Site(port=server.sockets[0].getsockname()[1])
        assert await _refusal(f"https://site.test:{site.port}/", site, Names(TO_SITE)) == "unreachable"
    assert b"site.test" in await hello


@pytest.mark.parametrize(
    "answer",
    [
        ["169.254.169.254"],
        ["127.0.0.2"],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["fe80::1%2"],
        ["no address"],
    ],
    ids=str,
)
async def test_name_that_leads_inside_is_refused(site: Site, answer: list[str]) -> None:
    url = f"http://metadata.google.internal:{site.port}/computeMetadata/v1/"
    assert await _refusal(url, site, Names(answer)) in ("address_not_allowed", "not_found")
    assert site.requests == []


async def test_name_that_changes_its_address_is_asked_once_and_checked_each_time(site: Site) -> None:
    async with open_site("127.0.0.2") as inside:
        site.answers["/"] = redirect("/again")
        names = Names(TO_SITE, ["127.0.0.2"])
        assert await _refusal(f"http://site.test:{site.port}/", site, names) == "address_not_allowed"
        assert names.asked == ["site.test", "site.test"]
        assert (len(site.requests), inside.requests) == (1, [])


@pytest.mark.parametrize("host", ["127.0.0.2", "127.2", "0x7f000002", "[::1]", "[::ffff:127.0.0.2]", "169.254.169.254"])
async def test_redirect_to_an_address_inside_is_refused(site: Site, host: str) -> None:
    async with open_site("127.0.0.2") as inside:
        site.answers["/"] = redirect(f"http://{host}:{inside.port}/")
        kind = await _refusal(f"http://127.0.0.1:{site.port}/", site, allowed_ports=(site.port, inside.port))
        assert kind == "address_not_allowed"
        assert inside.requests == []


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("http://u:p@127.0.0.1/", "credentials_in_url"),
        ("http://127.0.0.1:1/", "port_not_allowed"),
        ("http://[", "bad_url"),
        ("http://[]@", "bad_url"),
    ],
)
async def test_redirect_is_checked_like_the_first_address(site: Site, target: str, kind: FetchErrorKind) -> None:
    site.answers["/"] = redirect(target)
    assert await _refusal(f"http://127.0.0.1:{site.port}/", site) == kind


async def test_redirects_are_followed_without_cookies_up_to_the_limit(site: Site) -> None:
    site.answers["/1"] = page(b"", "Location: 2", "Set-Cookie: a=b", status="303 See Other")
    site.answers["/2"] = page(b"there")
    url = f"http://127.0.0.1:{site.port}/1"
    found = await fetch(url, site.policy(max_redirects=1))
    assert (found.url, found.body) == (f"http://127.0.0.1:{site.port}/2", b"there")
    assert b"cookie" not in site.requests[1].lower()
    assert await _refusal(url, site, max_redirects=0) == "too_many_redirects"


async def test_proxy_of_the_environment_is_not_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_site() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        site.answers["/"] = page()
        assert (await fetch(f"http://127.0.0.1:{site.port}/", site.policy())).body == b"hello"
        assert proxy.requests == []


async def test_endless_page_is_cut_at_the_limit(site: Site) -> None:
    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    site.answers["/"] = endless
    found = await fetch(f"http://127.0.0.1:{site.port}/", site.policy(max_bytes=100_000))
    assert (len(found.body), found.truncated) == (100_000, True)


async def test_page_of_exactly_the_limit_is_whole(site: Site) -> None:
    site.answers["/"] = page(b"x" * 1000)
    found = await fetch(f"http://127.0.0.1:{site.port}/", site.policy(max_bytes=1000))
    assert (len(found.body), found.truncated) == (1000, False)


@pytest.mark.parametrize(
    "piece", [b"HTTP/1.1 200 OK\r\n\r\nx", b"HTTP/1.1 200 OK\r\n", b""], ids=["body", "head", "no"]
)
async def test_sender_that_never_ends_is_a_timeout(site: Site, piece: bytes) -> None:
    async def slow(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(piece)
        while not writer.is_closing():
            await asyncio.sleep(0.05)
            writer.write(b"x" if piece else b"")
            await writer.drain()

    site.answers["/"] = slow
    assert await _refusal(f"http://127.0.0.1:{site.port}/", site, timeout_s=0.3) == "timeout"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"hello " * 100)),
        ("gzip", gzip.compress(b"hello " * 50) + gzip.compress(b"hello " * 50)),
        ("deflate", zlib.compress(b"hello " * 100)),
        ("deflate", zlib.compress(b"hello " * 100)[2:-4]),
    ],
    ids=["gzip", "two-members", "zlib", "raw-deflate"],
)
async def test_packed_page_is_unpacked(site: Site, encoding: str, body: bytes) -> None:
    site.answers["/"] = page(body, f"Content-Encoding: {encoding}")
    assert (await fetch(f"http://127.0.0.1:{site.port}/", site.policy())).body == b"hello " * 100


async def test_small_packed_page_does_not_become_a_large_one(site: Site) -> None:
    site.answers["/"] = page(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip")
    found = await fetch(f"http://127.0.0.1:{site.port}/", site.policy(max_bytes=100_000))
    assert (len(found.body), found.truncated) == (100_000, True)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "gzip"])
async def test_page_packed_otherwise_or_broken_is_unreadable(site: Site, encoding: str) -> None:
    site.answers["/"] = page(b"no such thing", f"Content-Encoding: {encoding}")
    assert await _refusal(f"http://127.0.0.1:{site.port}/", site) == "unreadable"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 OK\r\nLocation: \xff\xfe://\r\n\r\n",
    ],
    ids=["nothing", "no-http", "bad-length", "short", "many-headers", "long-header", "bad-location"],
)
async def test_broken_site_is_told_in_words(site: Site, answer: bytes) -> None:
    site.answers["/"] = answer
    assert await _refusal(f"http://127.0.0.1:{site.port}/", site) in ("unreachable", "scheme_not_allowed", "bad_url")


async def test_invalid_content_type_is_read_as_bytes(site: Site) -> None:
    site.answers["/"] = page(b"x", 'Content-Type: ;;="')
    assert (await fetch(f"http://127.0.0.1:{site.port}/", site.policy())).content_type == "application/octet-stream"


async def test_error_keeps_its_kind_across_processes() -> None:
    copy = pickle.loads(pickle.dumps(FetchError("timeout")))
    assert (copy.kind, str(copy)) == ("timeout", "The page did not arrive in time.")


async def test_cancelled_fetch_closes_its_connection(site: Site) -> None:
    closed = asyncio.Event()

    async def wait_for_end(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        closed.set()

    site.answers["/"] = wait_for_end
    fetching = asyncio.create_task(fetch(f"http://127.0.0.1:{site.port}/", site.policy(timeout_s=60)))
    while not site.requests:
        await asyncio.sleep(0.01)
    fetching.cancel()
    await asyncio.wait([fetching])
    assert fetching.cancelled()
    await asyncio.wait_for(closed.wait(), HANGS_AFTER_S)
