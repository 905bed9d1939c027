"""Every bash and Python block of the documentation is run, in order, as its reader would run it."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.docs.not_run import NOT_RUN, ONLY_IN_DOCS_TEST
from tests.docs.pages import RUN, SHOWN, blocks_of, commands_in, page_names
from tests.docs.reader import new_reader
from tests.docs.walks import has_something_to_run, walks

pytestmark = pytest.mark.integration


def is_long(pages: Iterable[str]) -> bool:
    return any(page.startswith(tuple(ONLY_IN_DOCS_TEST)) for page in pages)


WALKS = [
    pytest.param(name, id=name, marks=[pytest.mark.long_pages] if is_long(walk.pages) else [])
    for name, walk in walks().items()
]


@pytest.mark.parametrize("name", WALKS)
def test_following_the_pages_works(name: str, tmp_path: Path, environment: dict[str, str], endpoint: str) -> None:
    walk = walks()[name]
    reader = new_reader(tmp_path, environment, endpoint)
    try:
        with walk.around(reader):
            for page in walk.pages:
                reader.follow(page)
            reader.stop()
    finally:
        reader.stop()


def test_every_page_with_something_to_run_is_followed_once() -> None:
    followed = [page for walk in walks().values() for page in walk.pages]
    assert sorted(followed) == sorted(set(followed))
    assert [page for page in page_names() if has_something_to_run(page) and page not in followed] == []


def test_every_block_is_in_a_language_that_is_run_or_read() -> None:
    blocks = [block for page in page_names() for block in blocks_of(page)]
    unknown = [str(block) for block in blocks if block.language not in RUN | SHOWN and block.language[:1] != "{"]
    assert unknown == []


def test_commands_are_in_bash_blocks_where_they_are_run() -> None:
    shown = [block for page in page_names() for block in blocks_of(page) if block.language in SHOWN]
    assert [str(block) for block in shown if re.search(r"^(\$|>>>) ", block.code, re.MULTILINE)] == []


def test_what_only_docs_test_follows_is_there_and_has_a_reason() -> None:
    for beginning, reason in ONLY_IN_DOCS_TEST.items():
        assert any(page.startswith(beginning) for page in page_names()), beginning
        assert re.search(r"\w+ \w+", reason), beginning


def test_what_is_not_run_is_on_its_page_and_has_a_reason() -> None:
    for page, entries in NOT_RUN.items():
        blocks = blocks_of(page)
        texts = [command for block in blocks if block.language == "bash" for command in commands_in(block.code)]
        texts += [block.code for block in blocks if block.language == "python"]
        for beginning, reason in entries.items():
            assert any(text.startswith(beginning) for text in texts), f"{page}: {beginning}"
            assert re.search(r"\w+ \w+", reason), f"{page}: {beginning}"
