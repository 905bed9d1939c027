"""What nodes of a Ray cluster add where the verifier is what takes time: one worker on each of 1, 2 and 3 nodes.

The nodes are three raylets on addresses of loopback, made by what `tests/cluster` uses, so they share the cores of this
machine; the verifier only sleeps, which takes none.
"""

import json
import statistics
from pathlib import Path

from benchmarks.options import Options
from benchmarks.program import ROOT, ProgramError, free_port
from benchmarks.report import Report
from benchmarks.workspace import workspace
from tests.cluster.networks import Loopback
from tests.cluster.nodes import Nodes, run_on

NODES = (1, 2, 3)
PLACES = 4
LATENCIES_S = (0.2, 1.0)
_NAME = "sleeping"
_SECONDS = 10.0
_MODEL = str(ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml")
_APP = """
import asyncio
from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout


class SleepingConfig(BaseResourcesServerConfig):
    places: int


class Sleeping(Environment):
    config: SleepingConfig

    async def reward(self, rollout: Rollout, sleep_s: float) -> float:
        global places
        places = places or asyncio.Semaphore(self.config.places)
        async with places:
            await asyncio.sleep(sleep_s)
        return 1.0


places = None
if __name__ == "__main__":
    Sleeping.run_webserver()
"""


def run(options: Options) -> Report:
    """Measure each number of nodes with each latency; compare with the places there are, divided by the latency."""
    report = Report("nodes", f"a worker with {PLACES} verifications at once on each node")
    with workspace() as folder:
        component = folder / "resources_servers" / _NAME
        component.mkdir(parents=True)
        (component / "app.py").write_text(_APP)
        cluster = Nodes(Loopback(), folder, num_nodes=max(NODES), port=free_port())
        try:
            for node in NODES:
                cluster.start_node(node)
            rates = {number: _rates(cluster, folder, number, options.pairs) for number in NODES}
        finally:
            cluster.close()
    # One node says what a rollout takes beside the verifier's time; the others are predicted with it.
    overhead_s = {latency_s: PLACES / statistics.median(rates[1][latency_s]) - latency_s for latency_s in LATENCIES_S}
    for number in NODES:
        for latency_s, measured in rates[number].items():
            expected = [number * PLACES / (latency_s + overhead_s[latency_s])] * len(measured)
            report.compare(f"{number} nodes, {latency_s:g} s", "rollouts/s", measured, expected, "predicted", "higher")
    for latency_s, overhead in overhead_s.items():
        report.note(f"at {latency_s:g} s a place is taken for {overhead * 1e3:.0f} ms beside the verifier's time")
    return report


def _rates(cluster: Nodes, folder: Path, workers: int, pairs: int) -> dict[float, list[float]]:
    settings = (
        f"entrypoint: app.py, domain: other, places: {PLACES}, num_workers: {workers}, placement: {{num_cpus: 1}}"
    )
    placed, head = folder / "placed.yaml", f"+head_server.port={free_port()}"
    placed.write_text(f"{_NAME}: {{resources_servers: {{{_NAME}: {{{settings}}}}}}}\n")
    with run_on(cluster, folder, _MODEL, str(placed), head) as run:
        found: dict[float, list[float]] = {latency_s: [] for latency_s in LATENCIES_S}
        for _ in range(pairs):
            for latency_s, rates in found.items():
                tasks, in_flight = folder / "tasks.jsonl", 2 * workers * PLACES
                count = in_flight + int(_SECONDS * workers * PLACES / latency_s)
                row = json.dumps({"responses_create_params": {"input": "Wait."}, "sleep_s": latency_s})
                tasks.write_text(f"{row}\n" * count)
                parallel = f"+num_samples_in_parallel={in_flight}"
                collect = run.collect_command(tasks, f"{_NAME}_simple_agent", head, parallel, "+overwrite=true")
                done = cluster.result_of(*collect, folder=folder)
                if done.returncode:
                    raise ProgramError(
                        f"ng_collect_rollouts ended with status {done.returncode}: {done.stderr[-1000:]}"
                    )
                rates.append(_rate(folder / "rollouts_journal.jsonl", in_flight))
    return found


def _rate(journal: Path, in_flight: int) -> float:
    at = sorted(json.loads(line)["at"] for line in journal.read_text().splitlines())[in_flight:]
    return statistics.linear_regression(at, range(len(at))).slope
