from pathlib import Path
from typing import Any

import pytest

from nemo_gym.collections.manifest import continue_or_begin, differences, make_manifest
from nemo_gym.config.errors import ConfigError
from nemo_gym.rollouts.tasks import Task


def manifest(tasks: tuple[bytes, ...] = (b"one", b"two"), repeats: int = 1, **changes: Any) -> dict[str, Any]:
    policy = {
        "host": "127.0.0.1",
        "port": 1234,
        "num_workers": 1,
        "openai_base_url": ["http://a:1/v1", "http://b:1/v1"],
        "openai_api_key": "sk-canary",
        "openai_model": "m",
        "prompt": "see https://example.org first",
        **changes.pop("policy", {}),
    }
    return make_manifest(
        [Task(i, i + 1, line) for i, line in enumerate(tasks)],
        num_repeats=repeats,
        agent_name=changes.pop("agent_name", "agent"),
        params=changes.pop("params", {"temperature": 0.5}),
        server_config={"policy_model": {"responses_api_models": {"openai_model": policy}}, "head_server": {"port": 1}},
    )


@pytest.mark.parametrize(
    "policy",
    [{"port": 9}, {"host": "::1"}, {"openai_api_key": "other"}, {"openai_base_url": "http://c/v1"}, {"num_workers": 4}],
    ids=lambda policy: next(iter(policy)),
)
def test_addresses_keys_and_workers_are_no_difference(policy: dict[str, Any]) -> None:
    assert differences(manifest(), manifest(policy=policy)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"params": {"temperature": 0.7}}, "responses_create_params.temperature: 0.5 → 0.7"),
        ({"params": {"temperature": 0.5, "text": {"format": {"name": "x"}}}}, "text.format.name: None → 'x'"),
        ({"agent_name": "other"}, "agent_name: 'agent' → 'other'"),
        ({"policy": {"openai_model": "n"}}, "policy_model.responses_api_models.openai_model.openai_model: 'm' → 'n'"),
        ({"policy": {"prompt": "see https://example.org last"}}, "openai_model.prompt: 'see"),
        ({"repeats": 2}, "num_repeats: 1 → 2"),
        ({"tasks": (b"one", b"2")}, "1 task rows changed (index 1)"),
        ({"tasks": (b"one",)}, "num_tasks: 2 → 1"),
    ],
    ids=["temperature", "nested-params", "agent", "model", "text-with-a-url-in-it", "repeats", "row", "rows"],
)
def test_what_shapes_the_outcome_is_a_difference_and_is_said_exactly(changed: dict[str, Any], said: str) -> None:
    found = differences(manifest(), manifest(**changed))
    assert len(found) == 1
    assert said in found[0]


def test_a_manifest_holds_no_key_and_no_address() -> None:
    text = str(manifest())
    assert "sk-canary" not in text
    assert "127.0.0.1" not in text
    assert "//a:1" not in text


def test_the_same_collection_is_continued_and_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r_manifest.json"
    assert not continue_or_begin(path, manifest())
    before = path.read_bytes()
    assert continue_or_begin(path, manifest())
    with pytest.raises(ConfigError, match=r"agent_name: 'agent' → 'other'"):
        continue_or_begin(path, manifest(agent_name="other"))
    assert path.read_bytes() == before
    path.write_bytes(b"{")
    with pytest.raises(ConfigError, match="the manifest is no JSON"):
        continue_or_begin(path, manifest())
