"""What nodes of a Ray cluster add where the verifier is what takes time: one worker on each of 1, 2 and 3 nodes.

The nodes are on one machine and share its cores. The verifier only sleeps, which takes none.
"""

import json
import statistics
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.contestants.gym_run import wait_until_ready
from benchmarks.contestants.ray_nodes import ray_nodes
from benchmarks.options import Options
from benchmarks.program import BIN, ROOT, ProgramError, environment, free_port, home_in, running
from benchmarks.report import Report
from benchmarks.workspace import workspace

NODES = (1, 2, 3)
PLACES = 4
LATENCIES_S = (0.2, 1.0)
_NAME = "sleeping"
_SECONDS = 10.0
_MODEL = ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml"
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
    """Measure each number of nodes with each latency; compare with what one node predicts."""
    report = Report("nodes", f"a worker with {PLACES} verifications at once on each node")
    with workspace() as folder:
        component = folder / "resources_servers" / _NAME
        component.mkdir(parents=True)
        (component / "app.py").write_text(_APP)
        with ray_nodes(folder, max(NODES)) as address:
            rates = {number: _rates(folder, address, number, options) for number in NODES}
    for latency_s in LATENCIES_S:
        # One node says what a rollout takes beside the verifier's time; the others are predicted with it.
        overhead_s = PLACES / statistics.median(rates[1][latency_s]) - latency_s
        for number in NODES:
            measured = rates[number][latency_s]
            expected = [number * PLACES / (latency_s + overhead_s)] * len(measured)
            label = f"{number} nodes, {latency_s:g} s"
            report.compare(label, "rollouts/s", measured, expected, "predicted", "higher")
        report.note(
            f"at {latency_s:g} s a rollout takes its place for {overhead_s * 1e3:.0f} ms beside the verifier's time"
        )
    return report


def _rates(folder: Path, address: str, workers: int, options: Options) -> dict[float, list[float]]:
    settings = f"entrypoint: app.py, places: {PLACES}, num_workers: {workers}, placement: {{num_cpus: 1}}"
    (folder / "placed.yaml").write_text(f"{_NAME}: {{resources_servers: {{{_NAME}: {{{settings}}}}}}}\n")
    head, log_name = f"+head_server.port={free_port()}", f"ng_run-{workers}"
    command = [str(BIN / "ng_run"), str(_MODEL), "placed.yaml", f"+ray_head_node_address={address}", head]
    found: dict[float, list[float]] = {latency_s: [] for latency_s in LATENCIES_S}
    with running(command, folder, log_name) as process:
        wait_until_ready(process, folder / f"{log_name}.log")
        for _ in range(options.pairs):
            for latency_s, rates in found.items():
                rates.append(_rate(folder, head, workers, latency_s, options.limit_s))
    return found


def _rate(folder: Path, head: str, workers: int, latency_s: float, within_s: float) -> float:
    in_flight = 2 * workers * PLACES
    row = json.dumps({"responses_create_params": {"input": "Wait."}, "sleep_s": latency_s})
    (folder / "tasks.jsonl").write_text(f"{row}\n" * (in_flight + int(_SECONDS * workers * PLACES / latency_s)))
    values = (f"+agent_name={_NAME}_simple_agent", "+input_jsonl_fpath=tasks.jsonl", "+overwrite=true")
    where = (f"+output_jsonl_fpath={folder / 'rollouts.jsonl'}", f"+num_samples_in_parallel={in_flight}", head)
    collect = partial(subprocess.run, cwd=folder, env=environment(home_in(folder)), capture_output=True, check=False)
    done = collect([str(BIN / "ng_collect_rollouts"), *values, *where], timeout=within_s)
    if done.returncode:
        raise ProgramError(f"ng_collect_rollouts ended with status {done.returncode}: {done.stderr[-1000:]!r}")
    journal = (folder / "rollouts_journal.jsonl").read_text().splitlines()
    at = sorted(json.loads(line)["at"] for line in journal)[in_flight:]  # dispatched when another was done
    return statistics.linear_regression(at, range(len(at))).slope
