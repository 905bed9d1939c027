"""Big answers: a Response with 65,536 generated tokens, ids and log-probabilities. CPU of one hop.

A hop is one server that receives the Response and passes it on. There are four: the model server (endpoint → agent),
the agent (model → verify), the resources server (verify → verdict), the agent (verdict → caller). Its cost is the CPU
of all servers for a rollout with the tokens, less that of one without, divided by four.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants.contestant import Contestant, alternate
from benchmarks.contestants.gym_run import OURS
from benchmarks.contestants.side_by_side import side_by_side
from benchmarks.measuring.cpu import cpu_ms
from benchmarks.measuring.drive import drive
from benchmarks.options import Options
from benchmarks.program import ProgramError
from benchmarks.report import Report
from benchmarks.workspace import workspace

TOKENS = 65_536
HOPS = 4
ROLLOUTS = 60
CONCURRENCY = 4
_LEAST_BYTES_PER_TOKEN = 10

CpuByProcess = dict[str, float]


def run(options: Options) -> Report:
    """Compare the CPU of one hop with the floor's; and say where ours goes."""
    report = Report("big_answers", f"one answer with {TOKENS} generated tokens, {options.mode}")
    with workspace() as folder, _both_sizes(folder, options) as (small, big):
        without = alternate(small, options.pairs, lambda one: _cpu_of_a_rollout(one, folder, options, 0))
        with_tokens = alternate(big, options.pairs, lambda one: _cpu_of_a_rollout(one, folder, options, TOKENS))
    hops = {name: [_hop(b, s) for b, s in zip(with_tokens[name], without[name], strict=True)] for name in with_tokens}
    base_name = next(name for name in hops if name != OURS)
    report.compare("CPU of one hop", "ms", hops[OURS], hops[base_name], base_name, "lower")
    for process in with_tokens[OURS][0]:
        pairs = zip(with_tokens[OURS], without[OURS], strict=True)
        report.add(f"{process}: CPU of a rollout for the tokens", "ms", [b[process] - s[process] for b, s in pairs])
    return report


@contextlib.contextmanager
def _both_sizes(folder: Path, options: Options) -> Iterator[tuple[list[Contestant], list[Contestant]]]:
    with (
        side_by_side(folder, options) as (_, small_gym, small_floor),
        side_by_side(folder, options, endpoint=("--tokens", str(TOKENS))) as (_, big_gym, big_floor),
    ):
        yield [small_gym, small_floor], [big_gym, big_floor]


def _cpu_of_a_rollout(contestant: Contestant, folder: Path, options: Options, tokens: int) -> CpuByProcess:
    count = options.rollouts or ROLLOUTS
    processes = contestant.processes()
    drive(contestant, folder, CONCURRENCY, CONCURRENCY, warm_up=CONCURRENCY)
    before = cpu_ms(processes)
    driven = drive(contestant, folder, count, CONCURRENCY, warm_up=0)
    after = cpu_ms(processes)
    if driven.bad or driven.answer_bytes < tokens * _LEAST_BYTES_PER_TOKEN:
        problem = driven.first_bad or f"the answer has {driven.answer_bytes} bytes: the tokens did not arrive"
        raise ProgramError(f"{contestant.name}: {driven.bad} bad answers of {count}: {problem}")
    return {name: (after[name] - before[name]) / count for name in processes}


def _hop(with_tokens: CpuByProcess, without: CpuByProcess) -> float:
    return (sum(with_tokens.values()) - sum(without.values())) / HOPS
