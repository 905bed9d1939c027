"""Links in the documentation lead somewhere, every page that was promised is there, and says what it is for."""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("res*/*/README.md")])
GENERATED = {
    "commands.md",
    "settings.md",
    "failure-kinds.md",
    "file-formats.md",
    "environments.md",
    "licenses.md",
    "http-routes.md",
}  # docs/_ext writes them when the site is built
PROMISED = textwrap.dedent("""
    index about/index about/concepts/index about/architecture about/ecosystem about/features about/release-notes/index
    get-started/index get-started/setup-installation get-started/first-agent get-started/verifying-agent-results
    get-started/collecting-rollouts
    tutorials/index tutorials/offline-training-w-rollouts tutorials/separate-policy-and-judge-models
    tutorials/write-an-environment tutorials/multi-turn-conversation tutorials/bring-vllm tutorials/debug-a-run
    tutorials/port-an-environment
    reference/commands reference/settings reference/failure-kinds reference/http-routes reference/file-formats
    reference/environments configuration authentication faq glossary benchmarks security map apidocs/index contributing
""").split()
QUICKSTART_TABS = ["1. Set Up", "2. Run Agent", "3. Collect Rollouts", "4. Clean Up Servers"]
CARDS = {
    "Introduction": ["About NeMo Gym", "Concepts", "Architecture", "Ecosystem"],
    "Get Started": [
        "Setup and Installation",
        "Your First Agent",
        "Verifying Agent Results",
        "Collecting Rollouts",
    ],
    "Guides and Reference": ["Environments", "Collections", "Training Data", "Models", "Commands", "Questions"],
}
_MINUTES = {"5": "Five minutes", "10": "Ten minutes"}
_INCLUDES = {
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
    "scripted-model": "responses_api_models/scripted_model/README.md",
}
"""Pages whose text is in another file."""
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(page.read_text()))
    return {heading.strip().replace(" ", "-") for heading in headings}


def listed_pages() -> list[str]:
    """The pages in the contents of the site."""
    toctrees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), flags=re.DOTALL)
    lines = [line for toctree in toctrees for line in toctree.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


def is_generated(page: str) -> bool:
    return page.startswith(("reference/", "apidocs/"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists() or path.name in GENERATED, f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}"


def test_every_promised_page_is_in_the_contents() -> None:
    assert set(PROMISED) - {"index"} <= set(listed_pages())


def test_every_page_in_the_contents_is_a_file_or_made_from_code() -> None:
    missing = [page for page in listed_pages() if not is_generated(page) and not (DOCS / f"{page}.md").exists()]
    assert not missing
    assert {Path(page).name + ".md" for page in listed_pages() if page.startswith("reference/")} == GENERATED


@pytest.mark.parametrize("page", [page for page in listed_pages() if not is_generated(page)])
def test_a_page_begins_with_what_the_reader_will_have_and_how_long_it_takes(page: str) -> None:
    _, opening, *_ = (ROOT / _INCLUDES.get(page, f"docs/{page}.md")).read_text().split("\n\n")
    if page != "tutorials/index":  # it is a table of such openings
        assert "At the end of " in opening, opening
        assert re.search(r"\bminutes?\b", opening), opening


def test_the_home_page_has_the_known_tabs_buttons_and_cards() -> None:
    home = (DOCS / "index.md").read_text()
    assert re.findall(r"\{tab-item\} (.+)", home) == QUICKSTART_TABS
    assert "\nBrowse Tutorials\n" in home
    assert "```{repository-button}\nView on GitHub\n" in home
    for heading, titles in CARDS.items():
        part = home.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        assert re.findall(r"\{grid-item-card\} (.+)", part) == titles


def test_a_card_says_the_minutes_that_its_page_says() -> None:
    cards = re.findall(r":link: (\S+)\n:link-type: doc\n[^:]*`(\d+) min`", (DOCS / "index.md").read_text())
    assert len(cards) == 3
    for page, minutes in cards:
        assert f" {_MINUTES[minutes]}" in (DOCS / f"{page}.md").read_text().split("\n## ")[0], page


_DURATION = r"(?:an? |[\d.]+ ?)(?:ns|µs|ms|s|(?:micro|milli)?seconds?)\b"
_MEASURED = re.compile(rf"\bmeasured\b[^.;]*\d|\b(?:costs?|takes?|took) (?:about )?{_DURATION}")
_MADE_BY = re.compile(r"`(?:make|python -m|ng_)[^`]*`|\]\([./]*benchmarks\.md|^make bench", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_section_with_a_measured_figure_names_the_command_that_made_it(page: Path) -> None:
    sections = re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE)
    assert [each for each in sections if _MEASURED.search(each) and not _MADE_BY.search(each)] == []
