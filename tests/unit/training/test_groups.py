"""Formats that compare the rollouts of one task: preference pairs, KTO labels, and advantages for RL."""

import math
from pathlib import Path

import pytest

from nemo_gym.analysis.task_profile import ProfileSettings, profile_tasks
from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import make_manifest
from nemo_gym.collections.reading.reader import CollectionReader
from nemo_gym.config.errors import ConfigError
from nemo_gym.training.formats.rl import ADVANTAGES
from tests.made_collections import failure_record
from tests.unit.training.conftest import Export, Row, masked, rollout, with_tokens, write


def pairs_of(rows: list[Row]) -> list[tuple[int, int]]:
    return [(row["chosen_rollout_index"], row["rejected_rollout_index"]) for row in rows]


GROUP = [rollout(0, 0, 0.2, "a"), rollout(0, 1, 0.9, "b"), rollout(0, 2, 0.6, "c"), rollout(0, 3, 0.2, "d")]


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        ({}, [(1, 0)]),
        ({"pairs": "all"}, [(1, 2), (1, 0), (1, 3), (2, 0), (2, 3)]),
        ({"pairs": "all", "margin": 0.3}, [(1, 2), (1, 0), (1, 3), (2, 0), (2, 3)]),
        ({"pairs": "all", "margin": 0.5}, [(1, 0), (1, 3)]),
    ],
    ids=["one", "all", "margin-met-in-decimals", "margin"],
)
def test_pairs_are_of_rewards_that_are_a_margin_apart(
    exported: Export, options: Row, pairs: list[tuple[int, int]]
) -> None:
    rows, manifest = exported(GROUP, "preference", **options)
    assert pairs_of(rows) == pairs
    assert all(row["chosen_reward"] > row["rejected_reward"] for row in rows)
    assert manifest.used + sum(manifest.left_out.values()) == 4


def test_a_rollout_with_another_prompt_is_in_no_pair(exported: Export) -> None:
    other = rollout(0, 4, 0.0, responses_create_params={"input": "Task 0? "})
    rows, manifest = exported([*GROUP, other], "preference", pairs="all")
    assert 4 not in {index for pair in pairs_of(rows) for index in pair}
    assert manifest.left_out == {"prompt_differs": 1}
    assert len({row["prompt_sha256"] for row in rows}) == 1


def test_answers_that_say_the_same_are_no_pair_whatever_their_rewards(exported: Export) -> None:
    with pytest.raises(ConfigError, match="2 not_in_a_pair"):
        exported([rollout(0, 0, 1.0), rollout(0, 1, 0.0)], "preference")


def test_a_group_of_one_is_left_out(exported: Export) -> None:
    for form, rows in (("preference", GROUP), ("rl", list(map(with_tokens, GROUP)))):
        _, manifest = exported([*rows, with_tokens(rollout(1, 0))], form)
        assert manifest.left_out["group_of_one"] == 1


def test_rows_that_repeat_a_task_are_one_group_as_the_repeats_of_a_prepared_set_are(
    exported: Export, tmp_path: Path
) -> None:
    manifest = make_manifest(
        read_task_set([b"a", b"a", b"b", b"b", b"b", b"a"]),
        num_repeats=2,
        agent_name="agent",
        params={},
        server_config={},
        code={},
    )
    (tmp_path / "rollouts_manifest.json").write_text(manifest.model_dump_json())
    # Row 2 has failed; rows 0, 1 and 5 say the same, but the last isn't beside the others.
    rewards = {(0, 0): 0.0, (1, 1): 1.0, (3, 0): 1.0, (4, 1): 0.0, (5, 0): 1.0}
    prompts = {0: "a", 1: "a", 3: "b", 4: "b", 5: "a"}
    rows = [
        rollout(task, repeat, reward, f"{task}", responses_create_params={"input": prompts[task]})
        for (task, repeat), reward in rewards.items()
    ]
    write(tmp_path / "rollouts_failures.jsonl", [failure_record(2, 0), failure_record(4, 0)])
    pairs, said = exported(rows, "preference")
    assert [(row["task_index"], *pair) for row, pair in zip(pairs, pairs_of(pairs), strict=True)] == [
        (0, 3, 0),
        (2, 2, 5),
    ]
    assert (said.tasks, said.left_out, said.failed) == (3, {"group_of_one": 1}, 2)
    reader = CollectionReader(tmp_path / "rollouts.jsonl")
    reader.index.refresh()
    profiles = profile_tasks(reader, ProfileSettings())
    assert [(task.task_index, task.n, task.failed) for task in profiles] == [(0, 2, 0), (2, 2, 2), (5, 1, 0)]


def test_first_steps_compare_what_the_policy_wrote_before_any_tool_result(exported: Export) -> None:
    lazy = rollout(0, 0, 0.0)
    lazy["response"]["output"] = lazy["response"]["output"][2:]
    (row,), _ = exported([rollout(0, 1, 1.0), lazy], "preference", completion="first_step")
    assert [message["role"] for message in row["chosen"] + row["rejected"]] == ["assistant", "assistant"]


@pytest.mark.parametrize(("form", "count"), [("preference", 3), ("kto", 5)])
def test_completions_with_tool_results_are_counted(exported: Export, form: str, count: int) -> None:
    talk = rollout(1, 0, 0.0, "x")
    talk["response"]["output"] = talk["response"]["output"][2:]
    rows = [*GROUP, rollout(1, 1, 1.0, "y"), talk]
    assert exported(rows, form)[1].with_tool_results == count
    assert exported(rows, form, completion="first_step")[1].with_tool_results == 0


def test_kto_labels_by_the_threshold(exported: Export) -> None:
    rows, _ = exported(GROUP, "kto", reward_threshold=0.6)
    assert [row["label"] for row in rows] == [False, True, True, False]


def test_rl_rows_mask_everything_that_the_policy_did_not_generate(exported: Export) -> None:
    rows, _ = exported([with_tokens(rollout(0, 0, 1.0)), with_tokens(rollout(0, 1, 0.0))], "rl")
    first = rows[0]
    assert first["input_ids"] == [0, 1, 2, 100, 101, 7, 100, 101]
    assert first["loss_mask"] == [0, 0, 0, 1, 1, 0, 1, 1]
    assert first["log_probs"] == [0.0, 0.0, 0.0, -0.5, -0.5, 0.0, -0.5, -0.5]
    assert (first["prompt_length"], first["advantage"], rows[1]["advantage"]) == (3, 0.5, -0.5)


def test_rl_rows_say_which_weights_sampled_which_token(exported: Export) -> None:
    updated = with_tokens(rollout(0, 0, 1.0))
    call, _, message = updated["response"]["output"]
    call["weight_versions"] = [{"version": "7", "start": 0, "end": 1}, {"version": "8", "start": 1, "end": 2}]
    message["weight_versions"] = [{"version": "8", "start": 0, "end": 2}]
    rows, _ = exported([updated, with_tokens(rollout(0, 1, 0.0))], "rl")
    assert [(each["version"], each["start"], each["end"]) for each in rows[0]["weight_versions"]] == [
        ("7", 3, 4),
        ("8", 4, 5),
        ("8", 6, 8),
    ]
    assert rows[1]["weight_versions"] == []


def test_advantages_are_over_what_is_exported(exported: Export) -> None:
    rows = [with_tokens(rollout(0, n, reward)) for n, reward in enumerate((1.0, 0.0, 0.5))]
    exports, manifest = exported([*rows, rollout(0, 3, 9.0), masked(with_tokens(rollout(0, 4, 9.0)))], "rl")
    assert [row["advantage"] for row in exports] == [0.5, -0.5, 0.0]
    assert manifest.left_out == {"masked": 1, "no_token_data": 1}


def _broken(key: str, value: object) -> Row:
    row = with_tokens(rollout(0, 2))
    row["response"]["output"][2][key] = value
    return row


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_broken("generation_log_probs", [-0.5]), "token_data_invalid"),
        (_broken("generation_log_probs", [-0.5, 0.5]), "token_data_invalid"),
        (_broken("prompt_token_ids", [9, 9, 9, 9, 9, 9]), "token_data_invalid"),
        (_broken("weight_versions", [{"version": "7", "start": 0, "end": 3}]), "token_data_invalid"),
        (_broken("weight_versions", "7"), "token_data_invalid"),
        (_broken("generation_log_probs", None), "no_token_data"),
        (rollout(0, 2), "no_token_data"),
    ],
    ids=["unequal-lengths", "positive", "another-prefix", "versions-beyond", "versions", "no-log-probs", "none"],
)
def test_token_data_that_does_not_hold_together_is_left_out(exported: Export, row: Row, reason: str) -> None:
    rows, manifest = exported([with_tokens(rollout(0, 0)), with_tokens(rollout(0, 1)), row], "rl")
    assert (len(rows), manifest.left_out) == (2, {reason: 1})


@pytest.mark.parametrize(
    ("name", "advantages"),
    [("mean", [0.5, -0.5]), ("normalized", [1.0, -1.0]), ("leave_one_out", [1.0, -1.0])],
)
def test_advantages_of_two_rewards_are_what_their_papers_say(name: str, advantages: list[float]) -> None:
    assert ADVANTAGES[name]([1.0, 0.0]) == advantages


def test_equal_rewards_have_no_advantage_however_they_round() -> None:
    for advantages in ADVANTAGES.values():
        assert advantages([0.1, 0.1, 0.1]) == [0.0, 0.0, 0.0]
        assert math.isclose(math.fsum(advantages([0.1, 0.2, 0.4])), 0.0, abs_tol=1e-12)
