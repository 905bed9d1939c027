"""The page of a rollout in a real browser: pictures, attempts, what it copies, what its notes become."""

import base64
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from benchmarks.measuring.chromium import Page
from benchmarks.measuring.made_rows import placed
from tests.browser.viewer_process import running_viewer
from tests.made_collections import failure_record, write_collection

pytestmark = pytest.mark.integration

_COPY = """(async () => {
  const named = (text) => [...document.querySelectorAll("main button")].find((one) => one.textContent === text);
  const texts = [];
  for (const text of ["curl", "pytest case", "task row"]) {
    const button = named(text);
    button.click();
    while (button.textContent !== "Copied") await new Promise((go) => setTimeout(go, 20));
    texts.push(await navigator.clipboard.readText());
  }
  return texts;
})()"""


def picture() -> str:
    """Return a picture as the data URL that a row holds."""
    file = io.BytesIO()
    Image.new("RGB", (24, 16), "teal").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    """A collection with a picture in rollout 0-0, and whose rollout 1-0 has failed once and then succeeded."""
    paths = write_collection(tmp_path / "rollouts.jsonl", tasks=3, seed=3)
    rows = [orjson.loads(line) for line in paths.rollouts.read_bytes().splitlines()]
    kept = [row for row in rows if (row["_ng_task_index"], row["_ng_rollout_index"]) not in ((0, 0), (1, 0))]
    made = [_with_picture(rows[0], 0), placed(rows[1], 1, 0)]
    paths.rollouts.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in (*kept, *made)))
    paths.failures.unlink()
    failed = {"event": "failed", **failure_record(1, 0), "attempt": 0}
    again = {"event": "dispatched", "_ng_task_index": 1, "_ng_rollout_index": 0, "attempt": 1, "at": 1_750_000_900.0}
    with paths.journal.open("ab") as journal:
        journal.writelines(orjson.dumps(event) + b"\n" for event in (failed, again))
    return paths.rollouts


def _with_picture(row: dict[str, Any], task: int) -> dict[str, Any]:
    seen = {"role": "user", "content": [{"type": "input_image", "image_url": picture()}]}
    params = row["responses_create_params"]
    return placed({**row, "responses_create_params": {**params, "input": [*params["input"], seen]}}, task, 0)


async def test_a_rollout_shows_its_picture_and_copies_itself(page: Page, rollouts: Path) -> None:
    await page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
    with running_viewer(f"+input={rollouts}", cwd=rollouts.parent) as link:
        await page.open(link, "Collections")
        await page.go("#/rollout?c=rollouts.jsonl&r=0-0", "Rollout 0-0")
        assert await page.wait_for("document.querySelector('.item.user img').naturalWidth") == 24
        curl, case, row = await page.evaluate(_COPY)
        assert curl.startswith("curl -s ")
        compile(case, "case", "exec")
        assert "def test_verify_gives_task_0_repeat_0_its_reward" in case
        assert orjson.loads(row)["expected_rooms"]
        await page.go("#/rollout?c=rollouts.jsonl&r=1-0", "Rollout 1-0")
        attempts = await page.evaluate(
            "[...document.querySelectorAll('.side ol:not(.timeline) li')].map(t => t.innerText)"
        )
        assert ["model_unavailable" in text or "settled" in text for text in attempts] == [True, True]
        assert page.problems == []


async def test_a_note_is_saved_and_comes_out_as_jsonl(page: Page, rollouts: Path) -> None:
    before = {path.name: path.read_bytes() for path in rollouts.parent.glob("rollouts*")}
    with running_viewer(f"+input={rollouts}", cwd=rollouts.parent) as link:
        await page.open(link, "Collections")
        await page.go("#/rollout?c=rollouts.jsonl&r=0-0", "Rollout 0-0")
        await page.evaluate("document.getElementById('note').focus()")
        await page.call("Input.insertText", text="the price is right")
        await page.evaluate(
            "[...document.querySelectorAll('#notes button')].find(b => b.textContent === 'bad').click()"
        )
        await page.wait_for("document.querySelector('[data-tag=bad][aria-pressed=true]') !== null")
        await page.go("#/notes?c=rollouts.jsonl", "Notes")
        exported = "fetch(document.querySelector('main a[download]').href).then((answer) => answer.text())"
        (line,) = (await page.evaluate(exported)).splitlines()
        assert page.problems == []
    note = orjson.loads(line)
    assert (note["rollout"], note["tags"], note["note"]) == ("0-0", ["bad"], "the price is right")
    after = {path.name: path.read_bytes() for path in rollouts.parent.glob("rollouts*")}
    assert after.pop("rollouts_notes.jsonl")
    assert after == before
