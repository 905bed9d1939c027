"""TRL's trainers take one optimizer step on our exports of a real collection with tools."""

from typing import Any

import pytest

from tests.training.conftest import Workbench, as_policy_wrote

pytestmark = pytest.mark.training
TOOL_RESULT = "<|im_start|>tool"
FORMS = pytest.mark.parametrize("ending", ["jsonl", "parquet"])


@FORMS
@pytest.mark.parametrize("layout", ["messages", "prompt_completion"])
def test_sft_trains_on_exactly_the_tokens_that_the_policy_wrote(workbench: Workbench, layout: str, ending: str) -> None:
    rows = workbench.export("sft", f"sft-{layout}.{ending}", f"layout={layout}")
    step = workbench.take_step("sft", f"sft-{layout}.{ending}")
    assert (step["changed"] > 0, step["rows"]) == (True, len(rows))
    for row, text in zip(rows, step["trained_on"], strict=True):
        messages = row["messages"] if layout == "messages" else [*row["prompt"], *row["completion"]]
        wrote = [message for message, mask in zip(messages, row["loss_mask"], strict=True) if mask]
        assert text == "".join(map(as_policy_wrote, wrote))
    assert any("<tool_call>" in text for text in step["trained_on"])


@FORMS
def test_dpo_takes_a_step_on_pairs_and_compares_what_the_policy_did(workbench: Workbench, ending: str) -> None:
    rows = workbench.export("preference", f"pairs.{ending}", "pairs=all")
    step = workbench.take_step("dpo", f"pairs.{ending}")
    assert (step["changed"] > 0, step["rows"]) == (True, len(rows))
    for row, (chosen, rejected) in zip(rows, step["trained_on"], strict=True):
        assert chosen.startswith(as_policy_wrote(row["chosen"][0]))
        assert rejected.startswith(as_policy_wrote(row["rejected"][0]))
    assert any(TOOL_RESULT in text for text in step["counted"])  # which TRL's own collator doesn't mask


def test_dpo_on_first_steps_compares_nothing_but_what_the_policy_wrote(workbench: Workbench) -> None:
    rows = workbench.export("preference", "first.jsonl", "completion=first_step")
    step = workbench.take_step("dpo", "first.jsonl")
    for row, texts in zip(rows, step["trained_on"], strict=True):
        wrote = [as_policy_wrote(row[side][0]) for side in ("chosen", "rejected")]
        assert [text.removesuffix("\n") for text in texts] == wrote


@FORMS
def test_kto_takes_a_step_on_good_and_bad_answers(workbench: Workbench, ending: str) -> None:
    rows = workbench.export("kto", f"kto.{ending}")
    assert {row["label"] for row in rows} == {True, False}
    step = workbench.take_step("kto", f"kto.{ending}")
    assert (step["changed"] > 0, step["rows"]) == (True, len(rows))
    assert any(TOOL_RESULT in text for text in step["counted"])


def policys(messages: list[dict[str, Any]]) -> str:
    return "".join(as_policy_wrote(message) for message in messages if message["role"] == "assistant")


def test_with_our_collator_dpo_counts_nothing_but_the_policys_tokens(workbench: Workbench) -> None:
    rows = workbench.export("preference", "loss.jsonl", "pairs=all")
    step = workbench.take_step("dpo", "loss.jsonl", "policy")
    assert step["changed"] > 0
    assert step["counted"] == sorted(policys(row[side]) for row in rows for side in ("chosen", "rejected"))


def test_with_our_collator_kto_counts_nothing_but_the_policys_tokens(workbench: Workbench) -> None:
    rows = workbench.export("kto", "loss-kto.jsonl")
    step = workbench.take_step("kto", "loss-kto.jsonl", "policy")
    assert step["changed"] > 0
    # Each completion twice: after its own prompt, and after another one for the KL divergence.
    assert step["counted"] == sorted(2 * [policys(row["completion"]) for row in rows])


@pytest.mark.parametrize("form", ["sft", "preference", "kto", "rl"])
def test_datasets_reads_the_same_rows_from_both_forms(workbench: Workbench, form: str) -> None:
    lines, parquet = (workbench.export(form, f"same-{form}.{ending}") for ending in ("jsonl", "parquet"))
    assert lines == parquet != []
