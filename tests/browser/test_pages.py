"""Every page of the viewer in a real browser: it shows what is in the files, and reports no error."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.measuring.chromium import Page
from tests.browser.viewer_process import running_viewer
from tests.made_collections import with_equal_rows, write_collection

pytestmark = pytest.mark.integration

FIRST, SECOND, PREPARED = "c=first%2Frollouts.jsonl", "second%2Frollouts.jsonl", "c=prepared%2Frollouts.jsonl"
PAGES = {
    "collections": ("#/", "Collections"),
    "overview": (f"#/overview?{FIRST}", "first/rollouts.jsonl"),
    "tasks": (f"#/tasks?{FIRST}&sort=spread&desc=1", "Tasks"),
    "task": (f"#/task?{FIRST}&t=3", "Task 3"),
    "rollouts": (f"#/rollouts?{FIRST}&q=reward%3C1", "Rollouts"),
    "rollout": (f"#/rollout?{FIRST}&r=3-0", "Rollout 3-0"),
    "tokens": (f"#/rollout?{FIRST}&r=3-0&view=tokens", "Rollout 3-0"),
    "raw": (f"#/rollout?{FIRST}&r=3-0&view=raw", "Rollout 3-0"),
    "notes": (f"#/notes?{FIRST}", "Notes"),
    "compare": (f"#/compare?a=first%2Frollouts.jsonl&b={SECOND}", "Compare"),
}

OVERVIEW = (
    "Failed and masked",
    "Reward",
    "Where there is signal",
    "pass@k",
    "Reward over the collection",
    "Reward part: rooms",
    "Steps per rollout",
    "Output tokens per rollout",
    "Seconds per rollout",
    "What this is",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections of the same tasks, and one whose task file has four equal rows for each."""
    folder = tmp_path_factory.mktemp("data")
    write_collection(folder / "first" / "rollouts.jsonl")
    write_collection(folder / "second" / "rollouts.jsonl", skill=0.8, seed=2, left=9)
    with_equal_rows(write_collection(folder / "prepared" / "rollouts.jsonl", seed=3), 4)
    return folder


@pytest.fixture(scope="module")
def link(folder: Path) -> Iterator[str]:
    """The link of one viewer for all tests that need no file of their own."""
    with running_viewer(f"+input={folder}", cwd=folder) as link:
        yield link


async def test_every_page_opens_without_an_error_and_fits_a_narrow_screen(page: Page, link: str) -> None:
    await page.open(link, "Collections")
    for fragment, heading in PAGES.values():
        await page.look(width=400)
        await page.go(fragment, heading)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 400, fragment
    assert page.problems == []


async def test_the_first_page_and_the_overview_say_what_the_files_say(page: Page, folder: Path, link: str) -> None:
    rows = [orjson.loads(line) for line in (folder / "second" / "rollouts.jsonl").read_bytes().splitlines()]
    scored = [row["reward"] for row in rows if not row.get("mask_sample")]
    await page.open(link, "Collections")
    shown = await page.evaluate(
        "[...document.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((one) => one.innerText.trim()))"
    )
    assert [row[:3] for row in shown] == [
        ["first/rollouts.jsonl", "complete", "120 of 120"],
        ["prepared/rollouts.jsonl", "complete", "120 of 120"],
        ["second/rollouts.jsonl", "cut off", "111 of 120"],
    ]
    outcomes, mean, agent, model, started = shown[2][3:]
    assert outcomes.startswith(f"{len(scored)} scored")
    assert "9 not settled" in outcomes
    assert float(mean) == pytest.approx(sum(scored) / len(scored), abs=1e-4)
    assert (agent, model) == ("room_agent", "policy-7b")
    assert re.fullmatch(r"2025-06-\d\d \d\d:\d\d:\d\d", started)
    await page.go(f"#/overview?c={SECOND}", "second/rollouts.jsonl")
    headings = await page.evaluate("[...document.querySelectorAll('main h2')].map((one) => one.textContent)")
    assert {*OVERVIEW} - {*headings} == set()


async def test_tasks_are_filtered_by_any_field_of_the_verdict(page: Page, folder: Path, link: str) -> None:
    rows = [orjson.loads(line) for line in (folder / "first" / "rollouts.jsonl").read_bytes().splitlines()]
    tasks = {row["_ng_task_index"] for row in rows if row["explanation"] == "a room is missing"}
    await page.open(link, "Collections")
    await page.go(f"#/tasks?{FIRST}&q=explanation%3D%22a+room+is+missing%22&sort=task", "Tasks")
    shown = await page.evaluate("[...document.querySelectorAll('tbody th')].map((one) => Number(one.textContent))")
    assert shown == sorted(tasks)


async def test_equal_rows_are_one_task_with_one_group(page: Page, link: str) -> None:
    await page.open(link, "Collections")
    await page.go(f"#/overview?{PREPARED}", "prepared/rollouts.jsonl")
    assert "30, 4 rollouts each" in await page.evaluate("document.querySelector('main').innerText")
    await page.go(f"#/task?{PREPARED}&t=6", "Task 4")
    shown = await page.evaluate("document.querySelector('main').innerText")
    assert "Rows 4 to 7 of the task file are equal" in shown
    repeats = await page.evaluate("[...document.querySelectorAll('article h3')].map((one) => one.textContent)")
    assert repeats == ["Repeat 0", "Repeat 1", "Repeat 2", "Repeat 3"]
    await page.evaluate("document.querySelectorAll('article h3 a')[2].click()")
    await page.wait_for_heading("Rollout 6-0")
    assert "3 of 4" in await page.evaluate("document.querySelector('main').innerText")
    await page.press("j")
    await page.wait_for_heading("Rollout 7-0")
    await page.go(f"#/compare?a={FIRST[2:]}&b={PREPARED[2:]}", "Compare two collections of the same tasks")
    shown = await page.evaluate("document.querySelector('main').innerText")
    assert "in B 4" in shown
    assert "only in A, 0 only in B." in shown
    assert page.problems == []


async def test_the_link_without_its_token_shows_nothing(page: Page, link: str) -> None:
    await page.call("Page.navigate", url=link.partition("?")[0])
    shown = await page.wait_for("document.body?.textContent")
    assert "ng_viewer has printed" in shown


async def test_keys_lead_from_rollout_to_rollout_and_back_to_the_table(page: Page, link: str) -> None:
    await page.open(link, "Collections")
    await page.go(f"#/rollouts?{FIRST}&sort=task", "Rollouts")
    await page.evaluate("document.querySelector('tbody a').click()")
    await page.wait_for_heading("Rollout 0-0")
    await page.press("j")
    await page.wait_for_heading("Rollout 0-1")
    await page.press("k")
    await page.wait_for_heading("Rollout 0-0")
    await page.press("f")
    await page.wait_for("document.querySelector('#verdict .label')?.textContent !== 'scored'")
    await page.press("t")
    await page.wait_for("location.hash.includes('view=tokens')")
    await page.press("u")
    await page.wait_for_heading("Rollouts")
    assert "sort=task" in await page.evaluate("location.hash")


async def test_a_filter_typed_into_the_field_is_in_the_link_and_a_wrong_one_is_explained(page: Page, link: str) -> None:
    await page.open(link, "Collections")
    await page.go(f"#/rollouts?{FIRST}", "Rollouts")
    await page.evaluate("document.getElementById('filter').focus()")
    await page.call("Input.insertText", text="outcome=failed")
    await page.press("Enter")
    await page.wait_for("location.hash.includes('failed')")
    await page.wait_for("[...document.querySelectorAll('tbody .label')].every((one) => one.textContent === 'failed')")
    await page.go(f"#/rollouts?{FIRST}&q=reward%3Cmany", "Rollouts")
    assert "isn't one" in await page.wait_for("document.querySelector('[role=alert]')?.textContent")


async def test_a_tag_is_kept_beside_the_collection_and_found_by_the_filter(page: Page, folder: Path, link: str) -> None:
    await page.open(link, "Collections")
    await page.go(f"#/rollout?{FIRST}&r=3-0", "Rollout 3-0")
    await page.press("v")
    await page.wait_for("document.querySelector('[data-tag=\"verifier wrong\"][aria-pressed=true]') !== null")
    await page.go(f"#/rollouts?{FIRST}&q=tag%3D%22verifier+wrong%22", "Rollouts")
    assert await page.evaluate("document.querySelectorAll('tbody tr').length") == 1
    assert '"3-0"' in (folder / "first" / "rollouts_notes.jsonl").read_text()


async def test_a_rollout_shows_its_answer_as_markdown_and_its_arguments_indented(page: Page, link: str) -> None:
    await page.open(link, "Collections")
    await page.go(f"#/rollout?{FIRST}&r=3-0", "Rollout 3-0")
    assert await page.evaluate("document.querySelectorAll('.markdown table td').length") > 1
    assert '\n  "room"' in await page.evaluate("document.querySelector('.item.tool pre').textContent")


async def test_pages_follow_a_collection_from_its_first_row_on(page: Page, folder: Path, tmp_path: Path) -> None:
    rows = (folder / "first" / "rollouts.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "growing.jsonl"
    path.write_bytes(rows[0] + rows[1][:100])
    with running_viewer(f"+input={path}", cwd=tmp_path) as link:
        await page.open(link, "Collections")
        await page.go("#/overview?c=growing.jsonl", "growing.jsonl")
        first = "document.querySelector('.figure .value').textContent"
        assert await page.evaluate(first) == "1"
        with path.open("ab") as file:
            file.write(rows[1][100:] + rows[2])
        await page.wait_for(f"{first} === '3'")
        path.rename(tmp_path / "aside.jsonl")
        path.write_bytes(rows[5])
        await page.wait_for(f"{first} === '1'")
        path.unlink()
        await page.wait_for("document.querySelector('.label')?.textContent === 'missing'")
        assert page.problems == []


async def test_the_page_takes_no_text_as_html_even_when_its_own_code_tries(page: Page, link: str) -> None:
    await page.open(link, "Collections")
    tried = "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (e) { return e.name } })()"
    assert await page.evaluate(tried) == "TypeError"
    await asyncio.sleep(0)
