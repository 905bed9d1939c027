"""The exported file in a real browser, opened from disk: its pages work, and a hostile rollout does nothing."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from benchmarks.measuring.chromium import Page
from benchmarks.measuring.made_rows import STARTED_AT
from tests.browser.hostile import hostile_rows
from tests.made_collections import with_equal_rows, write_collection

pytestmark = pytest.mark.integration

_ROWS = "document.querySelectorAll('tbody tr').length"
_START = "from nemo_gym.commands.console import ng_viewer; ng_viewer()"


def export(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _START, *arguments], cwd=cwd, capture_output=True, text=True)


async def test_an_exported_file_opens_from_disk_with_the_rollouts_of_the_filter(page: Page, tmp_path: Path) -> None:
    paths = write_collection(tmp_path / "rollouts.jsonl")
    done = export(tmp_path, f"+input={paths.rollouts}", "+export=report.html", "+filter='reward<1 outcome=scored'")
    assert done.returncode == 0, done.stderr
    await page.open((tmp_path / "report.html").as_uri(), "exported")
    await page.go("#/rollouts?c=exported", "Rollouts")
    outcomes = await page.evaluate("[...document.querySelectorAll('tbody .label')].map((one) => one.textContent)")
    assert {*outcomes} <= {"scored", "truncated"}
    assert outcomes
    every = await page.evaluate(_ROWS)
    for query, count in (
        ('explanation="a room is missing"', every),
        ("explanation=other", 0),
        ("difficulty>=0 reward_parts.rooms=0 room_agent", every),
        ("Room_agent", 0),
    ):
        await page.go(f"#/rollouts?c=exported&q={quote(query)}", "Rollouts")
        assert await page.evaluate(_ROWS) == count, query
    await page.go("#/rollouts?c=exported", "Rollouts")
    await page.evaluate("document.querySelector('tbody a').click()")
    await page.wait_for_heading("Rollout")
    assert await page.evaluate("document.querySelectorAll('.markdown table').length") > 0
    await page.press("t")
    await page.wait_for("document.querySelectorAll('.token').length > 10")
    await page.press("r")
    await page.wait_for("document.querySelector('.raw')?.textContent.includes('responses_create_params')")
    await page.press("u")
    await page.wait_for_heading("Rollouts")
    assert page.problems == []


async def test_an_exported_file_has_tasks_notes_and_a_comparison(page: Page, tmp_path: Path) -> None:
    paths = with_equal_rows(write_collection(tmp_path / "rollouts.jsonl"), 4)
    other = write_collection(tmp_path / "before" / "rollouts.jsonl", skill=0.2, seed=2)
    note = {"rollout": "3-0", "tags": ["verifier wrong"], "note": "the price is right", "collection": STARTED_AT}
    (tmp_path / "rollouts_notes.jsonl").write_bytes(orjson.dumps(note) + b"\n")
    arguments = ("+export=report.html", "+filter='task<20'", f"+compare={other.rollouts}")
    done = export(tmp_path, f"+input={paths.rollouts}", *arguments)
    assert done.returncode == 0, done.stderr
    await page.open((tmp_path / "report.html").as_uri(), "exported")
    await page.go("#/tasks?c=exported&sort=spread&desc=1", "Tasks")
    assert await page.evaluate("document.querySelectorAll('tbody tr').length") == 5
    await page.evaluate("document.querySelector('tbody a').click()")
    await page.wait_for_heading("Task")
    assert await page.evaluate("document.querySelectorAll('.group article a').length") == 4
    await page.go("#/task?c=exported&t=6", "Task 4")
    for query, count in (("task=6", 4), ("task!=6", 16), ("task=6 repeat=2", 1)):
        await page.go(f"#/rollouts?c=exported&q={quote(query)}", "Rollouts")
        assert await page.evaluate(_ROWS) == count, query
    await page.go("#/notes?c=exported", "Notes")
    assert "the price is right" in await page.evaluate("document.querySelector('tbody').textContent")
    await page.go("#/rollout?c=exported&r=3-0", "Rollout 3-0")
    assert "verifier wrong" in await page.evaluate("document.querySelector('.side').textContent")
    await page.evaluate("[...document.querySelectorAll('header nav a')].at(-1).click()")
    await page.wait_for_heading("Compare")
    assert "95 % interval" in await page.wait_for("document.querySelector('.figure')?.textContent")
    assert await page.evaluate("document.querySelectorAll('tbody tr').length") == 30
    assert page.problems == []


async def test_an_exported_hostile_rollout_executes_nothing(page: Page, tmp_path: Path) -> None:
    rows = [row for row in hostile_rows() if len(orjson.dumps(row)) < 2_000_000]
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    assert export(tmp_path, f"+input={path}", "+export=report.html").returncode == 0
    await page.open((tmp_path / "report.html").as_uri(), "exported")
    for row in rows:
        await page.go(f"#/rollout?c=exported&r={row['_ng_task_index']}-0", "Rollout")
    assert await page.evaluate("globalThis.__called ?? 0") == 0
    assert page.dialogs == []
    assert page.problems == []


def test_a_folder_with_two_collections_is_not_exported_at_random(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_collection(tmp_path / f"{name}.jsonl", tasks=2)
    done = export(tmp_path, f"+input={tmp_path}", "+export=report.html")
    assert done.returncode == 2
    assert "a.jsonl" in done.stderr
