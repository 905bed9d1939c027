"""Rows of rollouts as a collector writes them: reasoning, tool calls, reward parts, token data, times."""

import random
from typing import Any

import orjson

from nemo_gym.collections.files import OutputPaths, write_json
from nemo_gym.collections.manifest import Manifest

STARTED_AT = 1_750_000_000.0
AGENT = {"type": "responses_api_agents", "name": "room_agent"}
_CITIES = ("Seattle", "Oslo", "Lima", "Kyoto", "Nairobi", "Quito", "Riga", "Perth")


def task_row(task: int) -> dict[str, Any]:
    """Return a task row."""
    city = _CITIES[task % len(_CITIES)]
    asked = f"Book {task % 4 + 1} rooms in {city} for two nights, and say what they cost together."
    return {
        "responses_create_params": {
            "input": [
                {"role": "developer", "content": "You book rooms. Use the tool; never invent a price."},
                {"role": "user", "content": asked},
            ],
            "tools": [{"type": "function", "name": "book_room", "parameters": {"type": "object"}}],
        },
        "expected_rooms": [f"{city.lower()}-{number}" for number in range(task % 4 + 1)],
        "difficulty": task % 5,
    }


def rollout_row(task: int, repeat: int, rng: random.Random, *, skill: float = 0.5) -> dict[str, Any]:
    """Return a verified rollout: reasoning, tool calls, an answer in Markdown, token data."""
    row = task_row(task)
    city = _CITIES[task % len(_CITIES)]
    solved = rng.random() < min(0.98, max(0.02, skill + 0.4 - 0.2 * (task % 5)))
    steps = rng.randint(1, 4)
    output: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Rooms first, then the sum."}]}
    ]
    prompt = list(range(40))
    calls: list[tuple[str, float, str | None]] = [("seed", 0.02, None)]
    for step in range(steps):
        made = [rng.randint(100, 50_000) for _ in range(rng.randint(12, 40))]
        arguments = orjson.dumps({"room": f"{city.lower()}-{step}", "nights": 2, "guests": ["Ada", "Grace"]}).decode()
        call: dict[str, Any] = {
            "type": "function_call",
            "id": f"fc_{step}",
            "call_id": f"call_{step}",
            "name": "book_room",
            "arguments": arguments,
            "status": "completed",
        }
        output.append(call | _tokens(prompt, made, rng))
        calls += [("model", len(made) * 0.03, None), ("tool", 0.2 + 0.1 * step, f"call_{step}")]
        fine = {"booked": True, "price": 120 + step}
        result = fine if rng.random() < 0.9 else {"error": "that room is taken"}
        output.append(
            {"type": "function_call_output", "call_id": f"call_{step}", "output": orjson.dumps(result).decode()}
        )
        prompt = [*prompt, *made, *range(60, 68)]
    answer = (
        f"I booked **{steps} rooms** in {city}.\n\n| room | price |\n| --- | --- |\n"
        + "".join(f"| {city.lower()}-{number} | {120 + number} |\n" for number in range(steps))
        + "\nThe sum:\n\n```python\nsum(prices)\n```\n\n1. paid\n2. confirmed\n"
    )
    made = [rng.randint(100, 50_000) for _ in range(60)]
    message = {
        "type": "message",
        "id": "msg",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": answer, "annotations": []}],
    }
    output.append(message | _tokens(prompt, made, rng))
    usage = {"input_tokens": 400 + 90 * steps, "output_tokens": 60 + rng.randint(20, 400), "total_tokens": 900}
    verdict = {
        "reward": 1.0 if solved else rng.choice([0.0, 0.0, 0.25, 0.5]),
        "reward_parts": {"rooms": float(solved), "price": round(rng.random(), 2)},
        "rooms_booked": steps,
        "explanation": "every room is there" if solved else "a room is missing",
    }
    response = {"id": "resp", "created_at": STARTED_AT, "model": "policy-7b", "output": output, "usage": usage}
    truncated = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if rng.random() < 0.08:
        response |= truncated
    times = _times(STARTED_AT + 4 * task + repeat, [*calls, ("model", len(made) * 0.03, None), ("verify", 0.15, None)])
    return placed({**row, "response": response, **verdict, **times}, task, repeat)


def placed(row: dict[str, Any], task: int, repeat: int) -> dict[str, Any]:
    """Return a row with its place and its agent."""
    return {**row, "agent_ref": AGENT, "_ng_task_index": task, "_ng_rollout_index": repeat}


def write_manifest(paths: OutputPaths, tasks: int, repeats: int) -> None:
    """Write the manifest of a collection."""
    settings = {
        "agent_name": "room_agent",
        "room_agent.responses_api_agents.simple_agent.resources_server.name": "room_booking",
        "room_booking.resources_servers.room_booking.domain": "agent",
    }
    manifest = Manifest(
        num_tasks=tasks,
        num_repeats=repeats,
        settings=settings,
        code={},
        versions={"nemo-gym": "0.1.0", "python": "3.11"},
        started_at=STARTED_AT,
        tasks_digest="d",
        row_digests="",
    )
    write_json(paths.manifest, manifest.model_dump())


def _tokens(prompt: list[int], made: list[int], rng: random.Random) -> dict[str, Any]:
    chances = [-round(rng.expovariate(1.6), 4) for _ in made]
    return {"prompt_token_ids": prompt, "generation_token_ids": made, "generation_log_probs": chances}


def _times(began_at: float, calls: list[tuple[str, float, str | None]]) -> dict[str, Any]:
    """Return the times of a rollout whose calls follow one another."""
    timed, at = [], began_at
    for kind, seconds, call_id in calls:
        timed.append({"kind": kind, "at": at, "elapsed_s": seconds} | ({"call_id": call_id} if call_id else {}))
        at += seconds
    return {"_ng_started_at": began_at, "_ng_elapsed_s": at - began_at, "_ng_calls": timed}
