"""HTTP on one connection, with bounds: a slow or endless sender costs one connection, never the server.

uvicorn's protocol, plus what it lacks: limits for the headers in bytes and seconds, a limit for the body, and an end
for a body that stalls. Connections have no timers of their own: the server looks at all of them once a second
(`watch`), and a request costs a few assignments. How long the app takes to answer is not bounded here.
"""

import asyncio
import contextlib
import fcntl
import socket
import termios
from array import array
from collections.abc import Collection
from enum import Enum, auto
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from nemo_gym.config.keys import DEFAULT_MAX_REQUEST_BYTES
from nemo_gym.wire.failure import FailureKind, failure_body, rollout_error

MAX_HEADER_BYTES = 64 * 1024
# A caller with thousands of requests connects long before it sends each of them, so the first byte may take its time.
FIRST_BYTE_WITHIN_S = 120
HEADERS_WITHIN_S = 10
BODY_STALLS_AFTER_S = 60
_IDLE_S = 2
_LINGER_S = 2  # a refused sender may still be sending: closed at once, it would lose the answer


class BoundedConfig(uvicorn.Config):
    """The settings of a server, with the bounds of its connections.

    Attributes:
        max_request_bytes: The longest body.
        closes_connections: Each connection ends with its next response: others wait for one.
        has_room: Set when a connection has ended.
        now_s: Seconds this server has been able to listen. Not the time of day: while a handler blocks the event loop,
            it is not the senders who are slow.
    """

    max_request_bytes = DEFAULT_MAX_REQUEST_BYTES
    closes_connections = False
    now_s = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_room = asyncio.Event()

    def watch(self, connections: Collection[Any]) -> None:
        """Let a second pass, and end the connections whose time is up."""
        self.now_s += 1
        for connection in list(connections):
            if isinstance(connection, BoundedProtocol):
                connection.end_when_late()
                if self.closes_connections:
                    connection.make_room()


class Awaited(Enum):
    """What is still to come of a request; `FIRST_BYTE`: all of the connection's first."""

    FIRST_BYTE = auto()
    HEADERS = auto()
    BODY = auto()
    NOTHING = auto()


class BoundedProtocol(HttpToolsProtocol):
    """One connection: what the parser says of its request decides which bound holds."""

    config: BoundedConfig

    def __init__(self, config: BoundedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._awaited = Awaited.FIRST_BYTE
        self._since_s = config.now_s
        self._is_refused = False
        self._has_delivered = False  # all that there is to send, before the connection is closed
        self._has_begun = False  # a request, within the chunk that is being read
        self._chunk_bytes = 0
        self._header_bytes = 0  # of the headers that are coming in, in the chunks before this one
        self._body_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what has come in."""
        if self._is_refused:
            return
        was_idle = self._awaited is Awaited.NOTHING or self._awaited is Awaited.FIRST_BYTE
        self._chunk_bytes, self._has_begun = len(data), False
        super().data_received(data)
        if was_idle and not self._has_begun:
            # An empty line before a request: it ends uvicorn's wait for an idle connection, so ours begins.
            self._awaited, self._since_s = Awaited.HEADERS, self.config.now_s
        if self._awaited is Awaited.HEADERS:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES and not self._is_refused:
                self._refuse_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended: another may be accepted."""
        super().connection_lost(exc)
        self.config.has_room.set()

    def on_message_begin(self) -> None:
        """A request begins; the time for its headers starts here."""
        super().on_message_begin()
        self._awaited, self._since_s, self._header_bytes = Awaited.HEADERS, self.config.now_s, 0
        self._has_begun = True

    def on_headers_complete(self) -> None:
        """All headers are there: refuse what is too long, else start to answer."""
        self._awaited, self._since_s, self._body_bytes = Awaited.BODY, self.config.now_s, 0
        if self._is_refused:
            return
        could_be_long = self._header_bytes + self._chunk_bytes > MAX_HEADER_BYTES
        if could_be_long and self._own_header_bytes() > MAX_HEADER_BYTES:
            self._refuse_headers()
            return
        for name, value in self.headers:
            if name == b"content-length" and int(value) > self.config.max_request_bytes:
                self._refuse_body()
                return
        super().on_headers_complete()
        if self.config.closes_connections and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body has come in; it may be of a request that is answered already."""
        self._since_s = self.config.now_s
        self._body_bytes += len(body)
        if self._is_refused:
            return
        if self._body_bytes > self.config.max_request_bytes:
            self._refuse_body()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All of the request is there."""
        self._awaited = Awaited.NOTHING
        if not self._is_refused:
            super().on_message_complete()

    def end_when_late(self) -> None:
        """End the connection when its sender has used up the time there is; called once a second."""
        waited_s = self.config.now_s - self._since_s
        if self.transport.is_closing():
            is_second_look = self._has_delivered  # after a loop that was blocked, the first may come before its writes
            self._has_delivered = self._is_delivered()
            if is_second_look and self._has_delivered:
                self.transport.abort()
        elif self._is_refused:
            if waited_s > _LINGER_S:
                self.transport.close()
        elif self._is_held_up_by_us():
            self._since_s = self.config.now_s
        elif self._awaited is Awaited.FIRST_BYTE and waited_s > FIRST_BYTE_WITHIN_S:
            self.transport.close()
        elif self._awaited is Awaited.HEADERS and waited_s > HEADERS_WITHIN_S:
            self._refuse(408, f"the headers were not complete within {HEADERS_WITHIN_S} s")
        elif self._awaited is Awaited.BODY and waited_s > BODY_STALLS_AFTER_S:
            self._refuse(408, f"nothing came of the body for {BODY_STALLS_AFTER_S} s")

    def make_room(self) -> None:
        """End with the response that is being made, or at once where nobody has asked anything for a while."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.keep_alive = False
        elif self._awaited is Awaited.NOTHING and self.config.now_s - self._since_s > _IDLE_S:
            self.shutdown()

    def hang_up_if_closing(self) -> None:
        """End a connection that is closed here and whose caller has everything.

        TLS waits until the other end has closed it too, which a caller who isn't reading never does.
        """
        if self.transport.is_closing() and self._is_delivered():
            self.transport.abort()

    def _is_delivered(self) -> bool:
        """Tell whether the caller's system has all that was written.

        Beneath TLS there is another buffer, which nobody tells of: it holds something only while the kernel's is full.
        """
        has_written_all = not self.flow.write_paused and not self.transport.get_write_buffer_size()
        connection = self.transport.get_extra_info("socket")  # None: closed a moment ago
        return has_written_all and (connection is None or not _num_unacknowledged(connection))

    def _is_held_up_by_us(self) -> bool:
        waits_for_us = self._awaited is Awaited.BODY and self.cycle is not None and self.cycle.waiting_for_100_continue
        return bool(self.flow.read_paused or waits_for_us)

    def _own_header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _refuse_headers(self) -> None:
        self._refuse(431, f"the headers are longer than {MAX_HEADER_BYTES} bytes")

    def _refuse_body(self) -> None:
        self._refuse(413, f"the body is longer than {self.config.max_request_bytes} bytes (setting max_request_bytes)")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer, unless another answer is on its way, and read no more; the app sees a caller who is gone."""
        self._is_refused, self._since_s = True, self.config.now_s
        cycle = self.cycle
        own = cycle if cycle is not None and cycle.scope is self.scope else None
        if own is not None:
            own.disconnected = True
            own.message_event.set()
        is_earlier_open = bool(self.pipeline) or (own is None and cycle is not None and not cycle.response_complete)
        if is_earlier_open or (own is not None and own.response_started):
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write(_answer(status, reason))
            self.flow.pause_reading()
            if self.transport.can_write_eof():  # not in TLS
                self.transport.write_eof()


def _num_unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes of a connection the other end hasn't acknowledged; 0 where the system doesn't say."""
    size = array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, size)
    return size[0]


def _answer(status: int, reason: str) -> bytes:
    kind: FailureKind = "transport_timeout" if status == 408 else "input_invalid"
    body = orjson.dumps(failure_body(rollout_error(kind, reason, status=status, delivery="not_sent").failure))
    headers = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + headers.encode() + body
