"""A stream socket that carries whole messages: four bytes of length, then MessagePack."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

Received = TypeVar("Received")
_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()


def _notice_a_lost_machine(connection: socket.socket) -> None:
    """Let a connection to another machine end about 25 s after that can't be reached any more."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The last one, in ms, is for what was sent and not confirmed: keep-alive asks only on a silent connection.
    for name, value in (("KEEPIDLE", 5), ("KEEPINTVL", 5), ("KEEPCNT", 4), ("USER_TIMEOUT", 25_000)):
        if hasattr(socket, f"TCP_{name}"):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}"), value)


class Channel(asyncio.Protocol, Generic[Received]):
    """One end of it. Nothing blocks: what is sent waits in memory until the other end has taken it.

    Args:
        kinds: The message types that come in, as a union.

    Attributes:
        ended: Done when the other end is gone.
    """

    def __init__(self, kinds: Any) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._decoder: msgspec.msgpack.Decoder[Received] = msgspec.msgpack.Decoder(kinds)
        self._on_message: Callable[[Received], None]
        self._buffer = bytearray()
        self._to_send: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    async def open(
        self,
        connection: socket.socket,
        on_message: Callable[[Received], None],
        tls: ssl.SSLContext | None = None,
        peer: str | None = None,
    ) -> None:
        """Take over a connected socket; `on_message` is told of what comes in.

        Args:
            tls: How this end proves who it is; or, with `peer`, how it checks that the other end is that host.

        Raises:
            OSError: The other end is somebody else, or gone.
        """
        self._on_message = on_message
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        if connection.family == socket.AF_UNIX:
            await loop.create_unix_connection(lambda: self, sock=connection)
        else:
            _notice_a_lost_machine(connection)
            if tls is not None and peer is None:
                await loop.connect_accepted_socket(lambda: self, connection, ssl=tls)
            else:
                await loop.create_connection(lambda: self, sock=connection, ssl=tls, server_hostname=peer)

    def send(self, message: Any) -> None:
        """Send a message; nothing when the other end is gone."""
        if self.ended.done():
            return
        body = _ENCODER.encode(message)
        if not self._to_send:  # with all that is sent until then: a system call costs more than a message
            asyncio.get_running_loop().call_soon(self._flush)
        self._to_send += (_LENGTH.pack(len(body)), body)

    def _flush(self) -> None:
        packets, self._to_send = self._to_send, []
        if self._transport is not None and not self.ended.done():
            self._transport.write(b"".join(packets))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without being derived from it

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and hand on the messages that are whole."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            body = start + _LENGTH.size
            end = body + _LENGTH.unpack_from(self._buffer, start)[0]
            if end > len(self._buffer):
                break
            with memoryview(self._buffer) as whole:
                message = self._decoder.decode(whole[body:end])
            self._on_message(message)
            start = end
        del self._buffer[:start]

    def connection_lost(self, error: Exception | None) -> None:
        """The other end is gone."""
        if not self.ended.done():
            self.ended.set_result(None)
