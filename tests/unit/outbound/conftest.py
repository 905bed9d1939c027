"""A site on loopback that says what a test wants, and a name server that answers what a test wants."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from nemo_gym.outbound_fetch import FetchPolicy

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A raw server: `answers` by path; every request it got, head only."""

    port: int = 0
    answers: dict[str, bytes | Answer] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            answer = self.answers[head.split()[1].decode()]
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(head, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def policy(self, **settings: object) -> FetchPolicy:
        """A policy that reaches this site and no other address of the machine."""
        defaults: dict[str, object] = {
            "timeout_s": 5.0,
            "allowed_ports": (80, 443, self.port),
            "allowed_networks": ("127.0.0.1/32",),
        }
        return FetchPolicy(**(defaults | settings))  # type: ignore[arg-type]


OpenSite = Callable[[str], AbstractAsyncContextManager[Site]]


@asynccontextmanager
async def open_site(address: str = "127.0.0.1") -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, address, 0)
    site.port = server.sockets[0].getsockname()[1]
    yield site
    server.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site() as opened:
        yield opened


class Names(AbstractResolver):
    """Gives one answer after the other for any name; the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        raise AssertionError("the caller's resolver was closed")


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


def page(body: bytes = b"hello", *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(target: str) -> bytes:
    return page(b"", f"Location: {target}", status="302 Found")
