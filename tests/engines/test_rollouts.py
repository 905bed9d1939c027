"""Whole collections with vLLM as the policy: token data checked, history rendered anew, an engine that is killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from nemo_gym.models.chat.tools import responses_tools
from nemo_gym.servers.serving.testing import serve_in_thread
from tests.engines.cases.requests import DICTATED, TOOLS
from tests.engines.engine import API_KEY, START_BOUND_S, Engine
from tests.engines.scenarios import RecordingProxy
from tests.free_port import free_port
from tests.integration.conftest import BIN, ROOT

pytestmark = pytest.mark.engines
WEATHER = ROOT / "resources_servers/example_simple_weather"
AGENT = "simple_weather_simple_agent"


class HidesTokenRoutes(RecordingProxy):
    """Passes requests on to an engine as if it had been started without `--enable-scale-out`."""

    async def __call__(self, scope: Scope, receive: Receive, send_event: Send) -> None:
        """Pass on one request, or refuse it."""
        if scope["type"] == "http" and scope["path"].endswith("/render"):
            error = {"error": {"message": "Scale-out endpoints are disabled. Use --enable-scale-out.", "code": 403}}
            await JSONResponse(error, 403)(scope, receive, send_event)
            return
        await super().__call__(scope, receive, send_event)


def _command(folder: Path, address: str, tasks: Path, *options: str) -> "subprocess.Popen[str]":
    settings = {
        "policy_base_url": f"{address}/v1",
        "policy_api_key": API_KEY,
        "policy_model_name": "smollm2",
        "agent_name": AGENT,
        f"{AGENT}.responses_api_agents.simple_agent.max_steps": 3,
        "input_jsonl_fpath": tasks,
        "output_jsonl_fpath": folder / "rollouts.jsonl",
        "check_token_ids": "true",
        "head_server.port": free_port(),
    }
    return subprocess.Popen(
        [
            str(BIN / "ng_e2e_collect_rollouts"),
            str(WEATHER / "configs/simple_weather.yaml"),
            str(ROOT / "responses_api_models/vllm_model/configs/vllm_model_for_training.yaml"),
            *(f"+{name}={value}" for name, value in settings.items()),
            *options,
        ],
        cwd=folder,
        env={**os.environ, "NEMO_GYM_HOME": str(folder / "home")},
        stdout=sys.stderr,
        text=True,
    )


def _outcome(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]
    return rows, json.loads((folder / "rollouts_metrics.json").read_text())


def _calls(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in row["response"]["output"] if "generation_token_ids" in item]


def _first_difference(row: dict[str, Any]) -> int:
    first, second = _calls(row)[:2]
    known = first["prompt_token_ids"] + first["generation_token_ids"]
    return next(at for at, (a, b) in enumerate(zip(known, second["prompt_token_ids"], strict=False)) if a != b)


def test_twenty_weather_rollouts_of_several_steps_pass_the_check(
    engine_of: Callable[[str], Engine], tmp_path: Path
) -> None:
    forced = ("+responses_create_params.tool_choice=required", "+responses_create_params.max_output_tokens=60")
    tasks = WEATHER / "data/example.jsonl"
    process = _command(tmp_path, engine_of("vllm_open").url, tasks, "+num_repeats=4", *forced)
    assert process.wait(START_BOUND_S) == 0
    rows, metrics = _outcome(tmp_path)
    assert (metrics["expected"], metrics["scored"], metrics["masked"]) == (20, 20, 0)
    assert sum(len(_calls(row)) > 1 for row in rows) >= 15


def test_history_that_is_rendered_anew_fails_the_check_at_the_right_position(
    engine_of: Callable[[str], Engine], tmp_path: Path
) -> None:
    params = {"input": DICTATED, "tools": responses_tools(TOOLS[:1]), "temperature": 0, "max_output_tokens": 60}
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"responses_create_params": params, "expected_city": "Paris"}) + "\n")
    with engine_of("vllm_open").client() as client, serve_in_thread(HidesTokenRoutes(client)) as port:
        process = _command(tmp_path, f"http://127.0.0.1:{port}", tasks)
        assert process.wait(START_BOUND_S) == 0
    (row,), metrics = _outcome(tmp_path)
    assert (metrics["scored"], metrics["masked_by_kind"]) == (0, {"token_data_invalid": 1})
    assert f"position {_first_difference(row)} " in row["failure_reason"]


def test_an_engine_killed_amid_fifty_rollouts_and_started_again_costs_none_of_them(
    engine_of: Callable[[str], Engine], tmp_path: Path
) -> None:
    engine = engine_of("vllm_open")
    tasks = WEATHER / "data/example.jsonl"
    options = ("+num_repeats=10", "+num_samples_in_parallel=8", "+responses_create_params.max_output_tokens=60")
    process = _command(tmp_path, engine.url, tasks, "+responses_create_params.tool_choice=required", *options)
    try:
        _wait_for_rows(tmp_path / "rollouts.jsonl", process)
        engine.kill()
        time.sleep(1)  # calls meet a port where nobody listens
        engine.launch()
        engine.wait_until_healthy()
        assert process.wait(START_BOUND_S) == 0
    finally:
        process.kill()
    rows, metrics = _outcome(tmp_path)
    assert (metrics["expected"], metrics["scored"] + metrics["masked"] + metrics["failed"]) == (50, 50)
    assert metrics["failed"] == 0
    for row in rows:
        assert _calls(row)
        assert row["reward"] == 0.0  # a forced call is never the message that the verifier wants at the end


def _wait_for_rows(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + START_BOUND_S
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= 3:
            return
        time.sleep(0.1)
    raise AssertionError("no rollout was written")
