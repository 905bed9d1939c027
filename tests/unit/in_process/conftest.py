"""A policy as a function, and gyms that no `env.yaml` of the person who runs the tests can reach."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import NEVER_S

WEATHER = "example_simple_weather"
Params = dict[str, Any]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def looks_up(params: Params) -> Any:
    """Call the weather tool for Paris, then answer."""
    if params["input"][-1].get("type") == "function_call_output":
        return "It is cold."
    return {"call": {"name": "get_weather", "arguments": {"city": "Paris"}}}


async def never(params: Params) -> str:
    await asyncio.sleep(NEVER_S)
    return "late"


def slow_for(word: str) -> Callable[[Params], Any]:
    """Return a policy that never answers tasks with this word, and the others at once."""

    async def answer(params: Params) -> str:
        return await never(params) if word in str(params["input"]) else "done"

    return answer
