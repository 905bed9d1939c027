"""How long a server's event loop keeps a small question waiting: GET /health again and again, from one connection."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ASK_EVERY_S = 0.02
_ANSWER_WITHIN_S = 60.0


@dataclass
class Latencies:
    """Answer times in ms, by server."""

    ms: dict[str, list[float]] = field(default_factory=dict)

    def p99_ms(self) -> float:
        """Return the 99th percentile of the server that has the worst."""
        return max(sorted(times)[int(len(times) * 0.99)] for times in self.ms.values() if times)


@contextlib.contextmanager
def probing(health_urls: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[Latencies]:
    """Ask every server, each from a thread, for as long as the context lasts."""
    found, is_over = Latencies({name: [] for name in health_urls}), threading.Event()
    askers = [
        threading.Thread(target=_ask, args=(url, dict(headers), found.ms[name], is_over), daemon=True)
        for name, url in health_urls.items()
    ]
    for asker in askers:
        asker.start()
    try:
        yield found
    finally:
        is_over.set()
        for asker in askers:
            asker.join(_ANSWER_WITHIN_S)


def _ask(url: str, headers: dict[str, str], times_ms: list[float], is_over: threading.Event) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ANSWER_WITHIN_S)
    with contextlib.closing(connection):
        connection.connect()
        while not is_over.wait(ASK_EVERY_S):
            began_at = time.perf_counter()
            connection.request("GET", address.path, headers=headers)
            connection.getresponse().read()
            times_ms.append((time.perf_counter() - began_at) * 1e3)
