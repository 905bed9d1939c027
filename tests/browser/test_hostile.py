"""Rollouts written to harm whoever looks at them: nothing executes, nothing hangs, nothing is asked of elsewhere."""

from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from benchmarks.measuring.chromium import Page
from tests.browser.hostile import hostile_rows, too_deep_line
from tests.browser.viewer_process import running_viewer

pytestmark = pytest.mark.integration

_ROWS = "document.querySelectorAll('tbody tr').length"
_CLICKS = """
for (const one of document.querySelectorAll("main details")) one.open = true;
for (const one of document.querySelectorAll("main a[href]:not([target])")) {
  const href = one.getAttribute("href");
  if (!href.startsWith("#") && !href.startsWith("/api/")) throw new Error(href);
}
"""


async def test_forty_hostile_rollouts_execute_nothing_and_leave_no_error(page: Page, tmp_path: Path) -> None:
    rows = hostile_rows()
    path = tmp_path / "<img src=x onerror='globalThis.__called=1'>.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows) + too_deep_line(len(rows)) + b"\n")
    name = quote(path.name)
    with running_viewer(f"+input={tmp_path}", cwd=tmp_path) as link:
        await page.open(link, "Collections")
        await page.look(width=400)
        await page.go(f"#/overview?c={name}", path.name)
        await page.go(f"#/compare?a={name}&b={name}", "Compare")
        await page.go(f"#/tasks?c={name}", "Tasks")
        assert await page.evaluate(_ROWS) == len(rows)
        await page.go(f"#/rollouts?c={name}", "Rollouts")
        assert await page.evaluate(_ROWS) == len(rows)
        for task in range(len(rows)):
            await page.go(f"#/task?c={name}&t={task}", "Task")
            for view in ("", "&view=raw", "&view=tokens"):
                await page.go(f"#/rollout?c={name}&r={task}-0{view}", "Rollout")
                await page.evaluate(_CLICKS)
                assert await page.evaluate("globalThis.__called ?? 0") == 0, task
                assert await page.evaluate("document.documentElement.scrollWidth") <= 400, (task, view)
                found = "main script, main iframe, main svg a, main style, main form, main base, main object"
                assert await page.evaluate(f"document.querySelectorAll({found!r}).length") == 0, task
    assert page.dialogs == []
    assert page.problems == []


async def test_a_long_rollout_is_shown_in_stretches_and_a_long_text_on_request(page: Page, tmp_path: Path) -> None:
    rows = hostile_rows()
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    tasks = {len(row["response"]["output"]): row["_ng_task_index"] for row in rows}
    with running_viewer(f"+input={path}", cwd=tmp_path) as link:
        await page.open(link, "Collections")
        await page.go(f"#/rollout?c=long.jsonl&r={tasks[10_000]}-0", "Rollout")
        assert await page.evaluate("document.querySelectorAll('.item').length") == 200
        more = "[...document.querySelectorAll('main button')].find((one) => one.textContent.startsWith('Show more'))"
        await page.evaluate(f"{more}.click()")
        await page.wait_for("document.querySelectorAll('.item').length === 400")
        await page.go(f"#/rollout?c=long.jsonl&r={tasks[1]}-0", "Rollout")
        await page.evaluate(
            "[...document.querySelectorAll('main button')].find((b) => b.textContent.startsWith('Show all'))?.click()"
        )
    assert page.problems == []
