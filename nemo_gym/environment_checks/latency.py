"""Latency: how long verify and each tool take, and whether they block the event loop."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from nemo_gym.environment_checks.fitting import fitting
from nemo_gym.environment_checks.report import CheckResult, Finding
from nemo_gym.environment_checks.subject import Subject, solutions
from nemo_gym.testing.in_process import InProcess
from nemo_gym.testing.policy import Answer, answer_items
from nemo_gym.testing.session import Session
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses_items import NeMoGymResponseFunctionToolCall

CHECK = "latency"
BLOCKS_AFTER_S = 0.05
"""The longest time for which a handler may keep every other session waiting, in seconds."""

_MIN_CALLS = 5
_MAX_ROUNDS = 20
_BUDGET_S = 2.0
_TICK_S = 0.001


@dataclass(frozen=True)
class _Timed:
    """One call: how long it took, and the longest time for which the event loop stood still; in seconds."""

    took_s: float
    stood_still_s: float


async def check_latency(subject: Subject) -> CheckResult:
    """Call every tool and verify at least five times, in sessions one after the other, for about 2 s at most."""
    timed: dict[str, list[_Timed]] = defaultdict(list)
    async with subject.start() as env:
        steps = await solutions(env, subject.tasks)
        until = time.monotonic() + _BUDGET_S
        for _ in range(_MAX_ROUNDS):
            for task, solution in zip(subject.tasks, steps, strict=True):
                await _measure(env, task, solution or [], timed)
            if time.monotonic() > until and all(len(calls) >= _MIN_CALLS for calls in timed.values()):
                break
    findings = [
        Finding(f"blocking_{'verifier' if name == 'verify' else 'tool'}", _blocks(name, calls))
        for name, calls in timed.items()
        if median(call.stood_still_s for call in calls) > BLOCKS_AFTER_S
    ]
    rows = [
        {
            "route": name,
            "calls": len(calls),
            "p50 ms": 1_000 * median(call.took_s for call in calls),
            "p99 ms": 1_000 * _quantile([call.took_s for call in calls], 0.99),
            "loop stood still ms": 1_000 * median(call.stood_still_s for call in calls),
        }
        for name, calls in timed.items()
    ]
    return CheckResult(CHECK, f"{sum(len(calls) for calls in timed.values())} calls", findings, rows)


def _blocks(name: str, calls: Sequence[_Timed]) -> str:
    stood = 1_000 * median(call.stood_still_s for call in calls)
    fix = "make it a plain `def`, which runs in a thread, or await what takes long"
    return f"`{name}` keeps all other sessions waiting for {stood:.0f} ms: {fix}"


async def _measure(env: InProcess, task: JsonObject, solution: list[Answer], timed: dict[str, list[_Timed]]) -> None:
    items = [item for step in solution for item in answer_items(step)]
    calls = [item for item in items if isinstance(item, NeMoGymResponseFunctionToolCall)]
    texts = [item for item in items if isinstance(item, str)]
    async with env.session(task) as session:
        for call in calls:
            await _call(session, call.name, call.arguments, timed)
        async with _timing("verify", timed):
            await session.verify(*texts[-1:])
        for tool in await env.tools():
            if tool["name"] not in {call.name for call in calls}:
                await session_call(session, tool, timed)


async def session_call(session: Session, tool: JsonObject, timed: dict[str, list[_Timed]]) -> None:
    """Call a tool that no solution needs, with the smallest arguments that fit."""
    arguments = fitting(tool.get("parameters") or {})
    try:
        async with _timing(tool["name"], timed):
            await session.call(tool["name"], None, **arguments)
    except RolloutError:  # the arguments were ours, not a task's
        return


async def _call(session: Session, name: str, arguments: str, timed: dict[str, list[_Timed]]) -> None:
    async with _timing(name, timed):
        await session.call(name, arguments)


@asynccontextmanager
async def _timing(name: str, timed: dict[str, list[_Timed]]) -> AsyncIterator[None]:
    longest = [0.0]
    ticking = asyncio.create_task(_tick(longest))
    await asyncio.sleep(0)
    started = time.perf_counter()
    try:
        yield
    finally:
        took = time.perf_counter() - started
        await asyncio.sleep(_TICK_S)  # what stood still until now is seen by the tick that was due
        ticking.cancel()
    timed[name].append(_Timed(took, longest[0]))


async def _tick(longest: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        longest[0] = max(longest[0], time.perf_counter() - before - _TICK_S)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
