"""`<think>` blocks in a model's text."""

import time

import pytest

from nemo_gym.models.chat import split_thoughts


@pytest.mark.parametrize(
    ("text", "thoughts", "rest"),
    [
        pytest.param("yes", [], "yes", id="none"),
        pytest.param("", [], "", id="empty"),
        pytest.param("<think>hm</think>yes", ["hm"], "yes", id="closed"),
        pytest.param("<think>\nhm\n</think>\n\nyes", ["\nhm\n"], "\n\nyes", id="whitespace-is-kept"),
        pytest.param("<think></think>yes", [""], "yes", id="empty-block"),
        pytest.param("<think>hm</think>", ["hm"], "", id="nothing-after-it"),
        pytest.param("<think>hm", ["hm"], "", id="cut-off"),
        pytest.param("\n<think>hm", ["hm"], "\n", id="cut-off-after-a-newline"),
        pytest.param("hm</think>yes", ["hm"], "yes", id="end-tag-only"),
        pytest.param("hm</think>", ["hm"], "", id="end-tag-only-and-nothing-after-it"),
        pytest.param("<think>a</think>b<think>c</think>d", ["a", "c"], "bd", id="two-blocks"),
        pytest.param("hm</think>a<think>b</think>c", ["hm", "b"], "ac", id="end-tag-only-then-a-block"),
        pytest.param("<think>a<think>b</think>c</think>d", ["a<think>b"], "c</think>d", id="nested"),
        pytest.param("say <think> aloud", [], "say <think> aloud", id="mentioned"),
        pytest.param("<think>a</think>say <think>", ["a"], "say <think>", id="mentioned-after-a-block"),
        pytest.param("<thinking>a</thinking>", [], "<thinking>a</thinking>", id="another-tag"),
    ],
)
def test_thoughts_are_separated_from_the_text(text, thoughts, rest):
    assert split_thoughts(text) == (thoughts, rest)


@pytest.mark.parametrize(
    ("text", "thoughts", "rest"),
    [
        pytest.param("hm", ["hm"], "", id="cut-off"),
        pytest.param("hm</think>yes", ["hm"], "yes", id="closed"),
        pytest.param("a <think> b</think>yes", ["a <think> b"], "yes", id="tag-inside"),
        pytest.param("<think>hm</think>yes", ["hm"], "yes", id="the-model-repeats-the-tag"),
    ],
)
def test_a_text_that_begins_inside_a_block_is_reasoning_up_to_its_end(text, thoughts, rest):
    assert split_thoughts(text, template_opens=True) == (thoughts, rest)


def seconds_for(text):
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        split_thoughts(text)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("<think>", id="start-tags"),
        pytest.param("</think>", id="end-tags"),
        pytest.param("<think></think>", id="blocks"),
        pytest.param("</think><think>", id="the-wrong-way-round"),
        pytest.param("<think", id="unfinished-tags"),
        pytest.param(" ", id="whitespace"),
    ],
)
@pytest.mark.parametrize("lead", ["", "x", " "], ids=["alone", "after-text", "after-a-space"])
def test_the_cost_of_a_hostile_text_grows_with_its_length_only(unit, lead):
    small = lead + unit * 20_000
    assert seconds_for(lead + unit * 160_000) < 20 * seconds_for(small)
