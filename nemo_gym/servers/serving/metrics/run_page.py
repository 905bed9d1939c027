"""The page of a whole run: the head asks every server, within a bound, and says of each whether it answered."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import aiohttp

from nemo_gym.servers.http.connections import get_global_aiohttp_client
from nemo_gym.servers.http.session_ids import WORKER_URLS_KEY
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import ServerInstanceState
from nemo_gym.servers.runs.token import bearer
from nemo_gym.servers.serving.metrics.exposition import SERVER_METRICS_PATH, text_of

if TYPE_CHECKING:
    from prometheus_client import Metric

ANSWERS_WITHIN_S = 2.0
_MAX_BYTES = 4 * 2**20
_LABELS = ("server", "kind", "worker", "node")


async def run_metrics(
    run_id: str, states: Sequence[ServerInstanceState], config: Mapping[str, Any], access: RunAccess
) -> bytes:
    """Return the page of a run.

    Args:
        run_id: Its name.
        states: Of every worker of every instance.
        config: The run's configuration, which has the workers' addresses.
        access: How its servers are called.
    """
    texts = await asyncio.gather(*(_page_of(_own_url(state, config), access) for state in states))
    return await asyncio.to_thread(_joined, run_id, states, texts)


def _own_url(state: ServerInstanceState, config: Mapping[str, Any]) -> str:
    """Return where a worker, and no other, answers."""
    workers = config.get(state.name, {}).get(state.kind, {}).get(state.implementation, {}).get(WORKER_URLS_KEY)
    on_this_machine = workers and state.worker is not None and state.node is None
    return str(workers[state.worker]) if on_this_machine else state.url


async def _page_of(url: str, access: RunAccess) -> str | None:
    """Return what a server counts; None when it doesn't say within `ANSWERS_WITHIN_S`, or says too much."""
    bound = aiohttp.ClientTimeout(total=ANSWERS_WITHIN_S)
    asked = get_global_aiohttp_client().get(
        url + SERVER_METRICS_PATH,
        headers=bearer(access.token),
        timeout=bound,
        allow_redirects=False,
        ssl=access.ssl,
    )
    try:
        async with asked as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _MAX_BYTES:
                    return None
            return body.decode() if answer.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


def _joined(run_id: str, states: Sequence[ServerInstanceState], texts: Sequence[str | None]) -> bytes:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    up = GaugeMetricFamily("nemo_gym_server_up", "1: the server answered this scrape.", labels=_LABELS)
    restarts = CounterMetricFamily(
        "nemo_gym_server_restarts", "Times that its process was started again.", labels=_LABELS
    )
    families: dict[str, Metric] = {}
    for state, text in zip(states, texts, strict=True):
        labels = _labels_of(state)
        restarts.add_metric(list(labels.values()), state.restarts)
        is_up = text is not None and _add(families, text, labels)
        up.add_metric(list(labels.values()), int(is_up))
    run = InfoMetricFamily("nemo_gym_run", "The run.", {"run": run_id})
    return text_of([run, up, restarts, *families.values()])


def _labels_of(state: ServerInstanceState) -> dict[str, str]:
    worker = "" if state.worker is None else str(state.worker)
    return dict(zip(_LABELS, (state.name, state.kind, worker, state.node or ""), strict=True))


def _add(families: dict[str, "Metric"], text: str, labels: dict[str, str]) -> bool:
    """Add what a server counts, with its labels; False when that isn't metrics, and then nothing is added."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        found = list(text_string_to_metric_families(text))
    except ValueError:
        return False
    for family in found:
        family.samples = [sample._replace(labels=labels | sample.labels) for sample in family.samples]
        if family.name in families:
            families[family.name].samples += family.samples
        else:
            families[family.name] = family
    return True
