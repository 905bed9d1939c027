"""Drive POST /run on an agent at a fixed concurrency; prints one line of JSON.

usage: python -m benchmarks.floor.drive URL_RUN ROW_FILE N CONCURRENCY [--warm-up 50] [--header NAME=VALUE ...]
The warm-up rollouts, at most N, go first and are not counted. An answer that is not 200 with reward 1 counts as bad.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from pathlib import Path

import aiohttp


class Driver:
    """Posts one row again and again; remembers how long each took, and which were bad."""

    def __init__(self, client: aiohttp.ClientSession, url: str, row: bytes, concurrency: int) -> None:
        self._client = client
        self._url = url
        self._row = row
        self._slots = asyncio.Semaphore(concurrency)
        self.bad = 0
        self.first_bad = ""
        self.seconds: list[float] = []
        self.answer_bytes = 0

    async def run(self, count: int) -> float:
        """Run `count` rollouts and return the seconds they took together."""
        self.seconds.clear()
        began_at = time.perf_counter()
        await asyncio.gather(*[self._one() for _ in range(count)])
        return time.perf_counter() - began_at

    async def _one(self) -> None:
        async with self._slots:
            began_at = time.perf_counter()
            headers = {"content-type": "application/json"}
            try:
                async with self._client.post(self._url, data=self._row, headers=headers, cookies={}) as response:
                    body = await response.read()
                    self.answer_bytes = len(body)
                    if response.status != 200 or b'"reward":1' not in body.replace(b" ", b""):
                        self._note_bad(f"{response.status} {body[:300].decode(errors='replace')}")
            except (aiohttp.ClientError, OSError) as error:
                self._note_bad(repr(error))
            self.seconds.append(time.perf_counter() - began_at)

    def _note_bad(self, what: str) -> None:
        self.bad += 1
        self.first_bad = self.first_bad or what


async def drive(
    url: str, row: bytes, count: int, concurrency: int, warm_up: int, headers: dict[str, str]
) -> dict[str, float | str]:
    """Return the figures of `count` rollouts, `concurrency` at a time."""
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as client:
        driver = Driver(client, url, row, concurrency)
        await driver.run(min(count, warm_up))
        seconds = await driver.run(count)
    ordered = sorted(driver.seconds)
    return {
        "rollouts_per_s": count / seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
        "bad": driver.bad,
        "first_bad": driver.first_bad,
        "answer_bytes": driver.answer_bytes,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Drive, print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("row_file", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("concurrency", type=int)
    parser.add_argument("--warm-up", type=int, default=50)
    parser.add_argument("--header", action="append", default=[])
    a = parser.parse_args()
    headers = dict(pair.split("=", 1) for pair in a.header)
    figures = asyncio.run(drive(a.url, a.row_file.read_bytes(), a.count, a.concurrency, a.warm_up, headers))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
