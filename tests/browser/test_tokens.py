"""The token view in a real browser, with a tokenizer: each token by its text, shaded by its log-probability."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks.measuring.chromium import Page
from benchmarks.measuring.made_rows import placed, task_row
from tests.browser.pictures import take_picture
from tests.browser.viewer_process import running_viewer

pytestmark = pytest.mark.integration

ANSWER = "Two rooms in Kyoto are booked, Ōsaka is full."
_TOKENS = """[...document.querySelectorAll("main section:nth-of-type(1) > .tokens > .token")].map(
  (one) => [one.textContent, one.classList[1], getComputedStyle(one).backgroundColor, one.title])"""
_BREAKS = """[...document.querySelectorAll("main section:has(> .tokens)")].map(
  (one) => [...one.querySelectorAll(".problem-box .token")].map((token) => token.textContent))"""


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    """A byte-level BPE of a few hundred tokens, in a file as trainers write it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([ANSWER, "book a room in Kyoto, then say which rooms are booked"], trainer)
    made.save(str(tmp_path / "tokenizer.json"))
    return made


def message(prompt: list[int], made: list[int], log_probs: list[float]) -> dict[str, Any]:
    ids = {"prompt_token_ids": prompt, "generation_token_ids": made, "generation_log_probs": log_probs}
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "…"}], **ids}


async def test_tokens_have_their_texts_shades_and_prefix_breaks(
    page: Page, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    ids = tokenizer.encode(ANSWER).ids
    log_probs = [(-0.01, -0.5, -1.5, -3.0, -9.0)[place % 5] for place in range(len(ids))]
    asked, again = (tokenizer.encode(text).ids for text in ("book a room", "say which"))
    before = [*asked, *ids]
    retold = [*before[:-1], *again]  # the template has lost the last token: everything after it is elsewhere
    output = [
        message(asked, ids, log_probs),
        {"type": "message", "role": "user", "content": "and?"},
        message(retold, again, [-0.1] * len(again)),
    ]
    row = placed({**task_row(0), "response": {"output": output}, "reward": 1.0}, 0, 0)
    (tmp_path / "rollouts.jsonl").write_bytes(orjson.dumps(row) + b"\n")
    with running_viewer("+input=rollouts.jsonl", f"+tokenizer={tmp_path}", cwd=tmp_path) as link:
        await page.open(link, "Collections")
        await page.go("#/rollout?c=rollouts.jsonl&r=0-0&view=tokens", "Rollout 0-0")
        tokens = await page.evaluate(_TOKENS)
        assert "".join(text for text, *_ in tokens if not text.isdecimal()) == ANSWER
        assert [shade for _, shade, *_ in tokens] == [f"p{place % 5}" for place in range(len(ids))]
        assert len({colour for _, _, colour, _ in tokens}) == 5
        assert all(f"id {token}" in title for token, (*_, title) in zip(ids, tokens, strict=True))
        first, second = await page.evaluate(_BREAKS)
        assert first == []
        assert second == [tokenizer.decode([token]) for token in (ids[-1], *again[:8])]
        for dark in (False, True):
            await page.look(dark=dark, height=1000)
            await take_picture(page, f"tokens-{'dark' if dark else 'light'}.png")
    assert page.problems == []
