"""What the endpoint was asked: counts, and the last requests themselves. Memory is bounded."""

from collections import Counter, deque
from typing import NamedTuple

import orjson

from nemo_gym.wire.json_object import JsonObject

_MAX_KEYS = 200_000
_OTHER_KEYS = "(other)"


class RecordedRequest(NamedTuple):
    """One request as it arrived."""

    number: int
    path: str
    body: bytes

    def as_json(self) -> JsonObject:
        """Return number, path and body; a body that isn't JSON is given as text."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            body = self.body.decode("utf-8", "replace")
        return {"number": self.number, "path": self.path, "body": body}


class Record:
    """Counts since the start or the last `reset`, of model requests only.

    Args:
        keep_requests: How many bodies are kept; 0 keeps none.
        keep_bytes: Bound on the sum of the kept bodies; the newest one is kept whatever its size.
    """

    def __init__(self, keep_requests: int, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self._last: deque[RecordedRequest] = deque(maxlen=keep_requests)
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is in flight right now; the next request is number 1 again."""
        self._last.clear()
        self._last_bytes = 0
        self.requests = 0
        self.peak_in_flight = self.in_flight
        self.by_path: Counter[str] = Counter()
        self.faults_by_kind: Counter[str] = Counter()
        self.attempts_by_key: Counter[str] = Counter()

    def enter(self) -> None:
        """Count a request in."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def leave(self) -> None:
        """Count a request out."""
        self.in_flight -= 1

    def note_request(self, path: str, body: bytes) -> int:
        """Count and keep a request that arrived whole; return its number, from 1."""
        self.requests += 1
        self.by_path[path] += 1
        if len(self._last) == self._last.maxlen:
            self._forget_oldest()
        if self._last.maxlen:
            self._last.append(RecordedRequest(self.requests, path, body))
            self._last_bytes += len(body)
        while self._last_bytes > self._keep_bytes and len(self._last) > 1:
            self._forget_oldest()
        return self.requests

    def note_key(self, key: str) -> None:
        """Count a request of a task; past 200,000 tasks new ones are counted together."""
        known = key in self.attempts_by_key or len(self.attempts_by_key) < _MAX_KEYS
        self.attempts_by_key[key if known else _OTHER_KEYS] += 1

    def note_fault(self, kind: str) -> None:
        """Count a fault that is being played."""
        self.faults_by_kind[kind] += 1

    def stats(self) -> JsonObject:
        """Return all counts."""
        return {
            "requests": self.requests,
            "by_path": self.by_path,
            "faults_by_kind": self.faults_by_kind,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "attempts_by_key": self.attempts_by_key,
        }

    def last_requests(self, count: int) -> list[RecordedRequest]:
        """Return at most `count` of the kept requests, the newest last."""
        return list(self._last)[-count:] if count > 0 else []

    def _forget_oldest(self) -> None:
        if self._last:
            self._last_bytes -= len(self._last.popleft().body)
