"""One server's counts as text for Prometheus, with what its process uses."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from nemo_gym.servers.serving.metrics.counts import BUCKETS_S, ServerCounts

if TYPE_CHECKING:
    from prometheus_client import Metric

SERVER_METRICS_PATH = "/server_metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text_of(families: Iterable["Metric"]) -> bytes:
    """Return metric families in the text format."""
    from prometheus_client import generate_latest  # 30 ms, which a run that nobody scrapes doesn't pay

    return generate_latest(_Families(families))


class _Families:
    def __init__(self, families: Iterable["Metric"]) -> None:
        self._families = families

    def collect(self) -> Iterable["Metric"]:
        return self._families


def server_metrics(counts: ServerCounts) -> bytes:
    """Return the page of one server."""
    from prometheus_client import PROCESS_COLLECTOR

    return text_of([*_families_of(counts), *PROCESS_COLLECTOR.collect()])


def _families_of(counts: ServerCounts) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    in_flight = GaugeMetricFamily("nemo_gym_requests_in_flight", "Requests being answered.", labels=["route"])
    requests = CounterMetricFamily("nemo_gym_requests", "Requests answered, by outcome.", labels=["route", "outcome"])
    seconds = HistogramMetricFamily("nemo_gym_request_seconds", "Time of a request.", labels=["route"])
    for route, of_route in counts:
        in_flight.add_metric([route], of_route.in_flight)
        for outcome, count in list(of_route.outcomes.items()):
            requests.add_metric([route, outcome], count)
        buckets: list[Any] = list(zip(_LIMITS, map(float, accumulate(of_route.by_bucket)), strict=True))
        seconds.add_metric([route], buckets, of_route.seconds)
    yield from (in_flight, requests, seconds)


_LIMITS = (*map(str, BUCKETS_S), "+Inf")
