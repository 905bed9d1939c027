"""Determinism: twice, in parallel, in another order and after a restart, the same rollouts get the same rewards."""

import asyncio
from collections.abc import Sequence

import orjson

from nemo_gym.environment_checks.report import CheckResult, Finding
from nemo_gym.environment_checks.subject import Outcome, Subject, play, solutions
from nemo_gym.testing.in_process import InProcess
from nemo_gym.testing.policy import Policy
from nemo_gym.wire.json_object import JsonObject

CHECK = "determinism"
_RESTART_BOUND_S = 300.0
Rollouts = Sequence[tuple[int, Policy, JsonObject]]


async def check_determinism(subject: Subject) -> CheckResult:
    """Compare the rewards of every way to run the same rollouts with those of the first time."""
    async with subject.start() as env:
        rollouts = await rollouts_of(env, subject)
        first = await rewards(env, rollouts)
        again = {"a second time": await rewards(env, rollouts)}
        together = await asyncio.gather(*(play(env, policy, task) for _, policy, task in rollouts))
        again["in parallel"] = [outcome.reward for outcome in together]
        again["in another order"] = (await rewards(env, rollouts[::-1]))[::-1]
    again["after a restart"] = await _after_restart(subject, rollouts)
    findings = []
    for way, seen in again.items():
        differ = tuple(dict.fromkeys(rollouts[n][0] for n in range(len(first)) if first[n] != seen[n]))
        if differ:
            number = next(n for n in range(len(first)) if first[n] != seen[n])
            what = f"{way} a rollout gets {seen[number]}, and {first[number]} the first time"
            findings.append(Finding("nondeterministic_reward", what, differ))
    return CheckResult(CHECK, f"{len(rollouts)} rollouts: {', '.join(again)}", findings)


async def rollouts_of(env: InProcess, subject: Subject) -> Rollouts:
    """Return the rollouts that are compared: each task solved, and answered with nothing to the point."""
    steps = await solutions(env, subject.tasks)
    solved = [(n, steps[n], task) for n, task in enumerate(subject.tasks) if steps[n] is not None]
    return [*solved, *((n, _pointless, task) for n, task in enumerate(subject.tasks))]  # type: ignore[list-item]


def _pointless(step: object) -> str:
    return "I don't know."


async def rewards(env: InProcess, rollouts: Rollouts) -> list[float | None]:
    """Return the rewards, one rollout after the other; None for one that fails."""
    outcomes: list[Outcome] = [await play(env, policy, task) for _, policy, task in rollouts]
    return [outcome.reward for outcome in outcomes]


async def _after_restart(subject: Subject, rollouts: Rollouts) -> list[float | None]:
    if subject.restart_command is None:
        async with subject.start() as env:
            return await rewards(env, rollouts)
    process = await asyncio.create_subprocess_exec(*subject.restart_command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(_RESTART_BOUND_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the environment did not start again: exit status {process.returncode}")
    seen: list[float | None] = orjson.loads(printed.splitlines()[-1])
    return seen
