from datetime import date
from typing import Any

import pytest

from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import (
    Manifest,
    code_differences,
    differences,
    make_manifest,
    with_accepted,
)


def manifest(tasks: tuple[bytes, ...] = (b"one", b"two"), repeats: int = 1, **changes: Any) -> Manifest:
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
        read_task_set(tasks),
        num_repeats=repeats,
        agent_name=changes.pop("agent_name", "agent"),
        params=changes.pop("params", {"temperature": 0.5}),
        server_config={"policy_model": {"responses_api_models": {"openai_model": policy}}, "head_server": {"port": 1}},
        code={"policy_model": "a" * 32},
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
        ({"tasks": (b"one", b"2")}, "1 task row changed (index 1)"),
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


def test_many_changed_rows_are_counted_and_the_first_are_named() -> None:
    before = [b"%d" % n for n in range(1_000)]
    after = [line + b"x" if n in (3, 5, 8, 13, 21, 34) else line for n, line in enumerate(before)]
    found = differences(manifest(tuple(before)), manifest(tuple(after)))
    assert found == ["6 task rows changed (index 3, 5, 8, 13, 21 …)"]


def test_two_rows_that_changed_places_are_a_difference() -> None:
    assert differences(manifest(), manifest((b"two", b"one"))) == ["2 task rows changed (index 0, 1)"]


def test_a_manifest_of_a_million_rows_keeps_four_bytes_of_each() -> None:
    tasks = read_task_set(b'{"n": %d}' % n for n in range(1_000))
    assert (tasks.count, len(tasks.row_digests), tasks.fields) == (1_000, 4_000, {"n"})


def test_changed_code_is_a_difference_of_its_own_and_unknown_code_is_none() -> None:
    old = manifest().model_copy(update={"code": {"sums": "a" * 32, "far": None, "gone": "c" * 32}})
    new = old.model_copy(update={"code": {"sums": "b" * 32, "far": "d" * 32}})
    assert differences(old, new) == []
    assert code_differences(old, new) == ["code of sums: aaaaaaaa → bbbbbbbb"]
    accepted = with_accepted(old, new, ["code of sums: …"])
    assert accepted.code == {"sums": "b" * 32, "far": "d" * 32, "gone": "c" * 32}
    assert [change.changes for change in accepted.history] == [["code of sums: …"]]


def test_a_setting_that_json_writes_as_text_is_the_same_after_it_was_read_back() -> None:
    made = manifest(params={"metadata": {"day": date(2026, 1, 2)}})
    assert differences(Manifest.model_validate_json(made.model_dump_json()), made) == []
