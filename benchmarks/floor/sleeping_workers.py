"""An agent with many workers whose verifiers only sleep: POST /run takes a place at a worker, waits, and answers.

Rollouts go to the workers in turn, and wait for a place where all are taken. Workers cost nothing here, so they may be
more than any machine has; what is left is the cost of whoever asks.

usage: python -m benchmarks.floor.sleeping_workers --port P --workers W --places C --latency-s L
"""

import argparse
import asyncio
from collections import deque

import uvloop

from benchmarks.floor.episode import Episode
from benchmarks.floor.instant_agent import InstantAgent, answers
from benchmarks.floor.mock_openai import Endpoint


class Worker:
    """One worker: so many verifications at once, the others wait."""

    def __init__(self, places: int, latency_s: float) -> None:
        self._free = places
        self._latency_s = latency_s
        self._waiting: deque[SleepingAgent] = deque()
        self._loop = asyncio.get_running_loop()

    def verify(self, connection: "SleepingAgent") -> None:
        """Answer on a connection when there was a place, and the time is over."""
        if self._free:
            self._free -= 1
            self._loop.call_later(self._latency_s, self._done, connection)
        else:
            self._waiting.append(connection)

    def _done(self, connection: "SleepingAgent") -> None:
        connection.answer_run()
        self._free += 1
        if self._waiting:
            self.verify(self._waiting.popleft())


class SleepingAgent(InstantAgent):
    """One connection: `/run` is answered by a worker, everything else at once."""

    def __init__(self, endpoint: Endpoint, answers: dict[bytes, bytes], workers: deque[Worker]) -> None:
        super().__init__(endpoint, answers)
        self._workers = workers

    def _answer(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"POST /run "):
            super()._answer(head, body)
            return
        self._workers[0].verify(self)
        self._workers.rotate(-1)

    def answer_run(self) -> None:
        """Answer the request that waited."""
        if not self._transport.is_closing():
            self._write(self._answers[b"/run"])


async def _serve(port: int, workers: int, places: int, latency_s: float) -> None:
    endpoint, prepared = Endpoint(Episode(0), 0.0, keeps_step_times=False), answers(port)
    all_workers = deque(Worker(places, latency_s) for _ in range(workers))
    server = await asyncio.get_running_loop().create_server(
        lambda: SleepingAgent(endpoint, prepared, all_workers), "127.0.0.1", port, backlog=65_535
    )
    await server.serve_forever()


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--places", type=int, required=True)
    parser.add_argument("--latency-s", type=float, required=True)
    a = parser.parse_args()
    uvloop.run(_serve(a.port, a.workers, a.places, a.latency_s))


if __name__ == "__main__":
    main()
