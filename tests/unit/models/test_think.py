"""`<think>` blocks in a model's text."""

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


class MeasuredText(str):
    """Counts the characters that are searched or copied, so that the cost doesn't depend on the machine."""

    cost = 0

    def find(self, tag, start=0):
        found = super().find(tag, start)
        self.cost += (len(self) if found < 0 else found + len(tag)) - start
        return found

    def __getitem__(self, piece):
        found = super().__getitem__(piece)
        self.cost += len(found)
        return found


def cost_of(text):
    measured = MeasuredText(text)
    split_thoughts(measured)
    assert measured.cost >= len(text)
    return measured.cost


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
    assert cost_of(lead + unit * 16_000) < 10 * cost_of(lead + unit * 2_000)
