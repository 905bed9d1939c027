"""Isolation: two sessions interleaved call by call give what each gives alone."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Mapping, Sequence

from nemo_gym.environment_checks.report import CheckResult, Finding
from nemo_gym.environment_checks.subject import Outcome, Subject, play, solutions
from nemo_gym.testing.policy import Answer, Policy, PolicyStep, answer_items
from nemo_gym.testing.words import Item
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses_items import NeMoGymResponseFunctionToolCall

CHECK = "isolation"

Steps = list[list[str | Item]]


async def check_isolation(subject: Subject) -> CheckResult:
    """Interleave each solved task with the next one, and the first with itself."""
    async with subject.start() as env:
        steps = await solutions(env, subject.tasks)
    solved = {n: _one_call_at_a_time(one) for n, one in enumerate(steps) if one is not None}
    pairs = [*itertools.pairwise(solved), *((n, n) for n in list(solved)[:1])]
    alone = {n: await _alone(subject, policy, subject.tasks[n]) for n, policy in solved.items()}
    findings = [found for pair in pairs if (found := await _interleaved(subject, pair, solved, alone)) is not None]
    return CheckResult(CHECK, f"{len(pairs)} pairs of sessions interleaved", findings)


async def _interleaved(
    subject: Subject, pair: tuple[int, int], solved: Mapping[int, Steps], alone: Mapping[int, Outcome]
) -> Finding | None:
    played = [(solved[n], subject.tasks[n]) for n in pair]
    barrier = asyncio.Barrier(len(pair))
    async with subject.start() as env:
        together = await asyncio.gather(*(_in_step(play(env, _waiting(p, barrier), t), barrier) for p, t in played))
    for n, outcome in zip(pair, together, strict=True):
        before = alone[n]
        if outcome.reward != before.reward:
            what = f"interleaved with task {pair[0] + pair[1] - n} the reward is {outcome}, and alone {before}"
            return Finding("shared_state", what, (n,))
        if before.outputs and outcome.outputs != before.outputs:
            differ = next(k for k, one in enumerate(before.outputs) if outcome.outputs[k : k + 1] != (one,))
            seen = outcome.outputs[differ] if differ < len(outcome.outputs) else None
            what = f"interleaved, call {differ} gives {_short(seen)}, and alone {_short(before.outputs[differ])}"
            return Finding("shared_state", what, (n,))
    return None


async def _alone(subject: Subject, policy: Steps, task: JsonObject) -> Outcome:
    """Return the outcome of a rollout alone; without outputs of tools that differ from one time to the next."""

    async def once() -> Outcome:
        async with subject.start() as env:
            return await play(env, policy, task)

    first = await once()
    repeats = not first.outputs or first.outputs == (await once()).outputs
    return first if repeats else Outcome(first.reward)


def _one_call_at_a_time(steps: Sequence[Answer]) -> Steps:
    """Return the steps with a step for each call, so that another session's calls come between any two."""
    split: Steps = []
    for step in steps:
        items = answer_items(step)
        calls: list[str | Item] = [item for item in items if isinstance(item, NeMoGymResponseFunctionToolCall)]
        rest = [item for item in items if not isinstance(item, NeMoGymResponseFunctionToolCall)]
        split += [[*rest, calls[0]], *([call] for call in calls[1:])] if calls else [items]
    return split


def _waiting(steps: Steps, barrier: asyncio.Barrier) -> Policy:
    """Return the policy that answers when the other one is about to, for as long as there is another."""

    async def answer(step: PolicyStep) -> Answer:
        with contextlib.suppress(asyncio.BrokenBarrierError):
            await barrier.wait()
        if step.index >= len(steps):
            raise AssertionError(f"the solution has {len(steps)} steps, and one more was asked for")
        return steps[step.index]

    return answer


async def _in_step(rollout: Awaitable[Outcome], barrier: asyncio.Barrier) -> Outcome:
    try:
        return await rollout
    finally:
        await barrier.abort()  # the other goes on alone


def _short(output: str | None) -> str:
    return repr(output if output is None or len(output) < 80 else output[:80] + "…")
