"""A minimal OpenAI-compatible endpoint for measurements.

It answers POST /v1/responses and /v1/chat/completions with a fixed episode: so many calls of the tool `get_weather`,
then a message. Written on asyncio.Protocol so that its own cost stays small beside what is measured.

usage: python -m benchmarks.floor.mock_openai --port P [--latency-s 0] [--tool-calls 1] [--tokens 0] [--step-times]
`--tokens`: the final message carries so many generated token ids and log-probabilities.
`--step-times`: remember what passed between each answer and the next request; means something at concurrency 1 only.
GET / tells how many requests it saw, the most that were open at once, and the step times, which it then forgets.
"""

import argparse
import asyncio
import json
import resource
import time
from dataclasses import dataclass, field
from typing import cast

import uvloop

from benchmarks.floor.episode import Episode, packet


@dataclass
class Endpoint:
    """What the endpoint answers, how late, and what it has seen."""

    episode: Episode
    latency_s: float
    keeps_step_times: bool
    count: int = 0
    in_flight: int = 0
    peak: int = 0
    answered_at: float = 0.0
    gaps_s: dict[int, list[float]] = field(default_factory=dict)

    def note_step(self, seen: int) -> None:
        """Remember how long the request with `seen` tool results was in coming."""
        if seen:
            self.gaps_s.setdefault(seen + 1, []).append(time.perf_counter() - self.answered_at)

    def report(self) -> bytes:
        """Return the counts and step times (seconds, by the step's number from 2) as JSON, and forget the times."""
        gaps, self.gaps_s = self.gaps_s, {}
        return json.dumps({"count": self.count, "peak": self.peak, "step_times_s": gaps}).encode()


class Connection(asyncio.Protocol):
    """One connection: requests in, prepared answers out."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without being derived from it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end]
            size = _content_length(head)
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        endpoint = self._endpoint
        endpoint.count += 1
        if head.startswith(b"GET"):
            self._write(packet(endpoint.report()))
            return
        is_chat = b"/chat/" in head.split(b"\r\n", 1)[0]
        seen = endpoint.episode.tool_results(body, is_chat=is_chat)
        if endpoint.keeps_step_times:
            endpoint.note_step(seen)
        answer = endpoint.episode.answer(seen, is_chat=is_chat)
        if endpoint.latency_s:
            self._write_later(answer)
        else:
            self._write(answer)

    def _write_later(self, answer: bytes) -> None:
        endpoint = self._endpoint
        endpoint.in_flight += 1
        endpoint.peak = max(endpoint.peak, endpoint.in_flight)
        asyncio.get_running_loop().call_later(endpoint.latency_s, self._flush, answer)

    def _flush(self, answer: bytes) -> None:
        self._endpoint.in_flight -= 1
        self._write(answer)

    def _write(self, answer: bytes) -> None:
        self._transport.write(answer)
        if self._endpoint.keeps_step_times:
            self._endpoint.answered_at = time.perf_counter()


def _content_length(head: bytes) -> int:
    low = head.lower()
    start = low.find(b"content-length:")
    if start < 0:
        return 0
    end = low.find(b"\r\n", start)
    return int(low[start + 15 : end if end >= 0 else len(low)])


async def _serve(endpoint: Endpoint, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", port, backlog=65_535)
    await server.serve_forever()


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--tool-calls", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--step-times", action="store_true")
    a = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_serve(Endpoint(Episode(a.tool_calls, a.tokens), a.latency_s, a.step_times), a.port))


if __name__ == "__main__":
    main()
