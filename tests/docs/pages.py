"""The pages that people read, as code blocks: what there is to run, to write into a file, and to see printed."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bounds import HANGS_AFTER_S

ROOT = Path(__file__).parents[2]
RUN = {"bash", "python"}
OUTPUT = {"text", "console"}
"""Languages of blocks that show what is printed, below one that is run."""
SHOWN = {*OUTPUT, "yaml", "json", "jsonl", "toml", "mermaid", "html"}
"""Languages of blocks that are read, not run."""
MADE = ("docs/reference/", "docs/apidocs/")
"""Folders of pages that are made from code when the site is built."""
_FENCE = re.compile(r"^(\s*)(`{3,})\s*([^\s`]*)[^`]*$")
_FILE = re.compile(r"# ([\w./-]+\.[a-z]+)\n")


@dataclass(frozen=True)
class Block:
    """A code block. `section` counts the headings before it; `file` is the path in a first line such as `# a/b.py`."""

    page: str
    line: int
    section: int
    language: str
    code: str

    @property
    def file(self) -> str:
        """The file that the block is the content of, or ""."""
        found = _FILE.match(self.code)
        return found.group(1) if found and self.language != "bash" else ""

    @property
    def content(self) -> str:
        """The code without the line that names its file."""
        return self.code.split("\n", 1)[1] if self.file else self.code

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


def page_names() -> list[str]:
    """Every page that somebody wrote: the documentation, what is at the top, READMEs of components."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("res*/*/README.md")]
    names = sorted(str(path.relative_to(ROOT)) for path in found)
    return [name for name in names if not name.startswith(MADE)]


def blocks_of(page: str, language: str = "") -> list[Block]:
    """The code blocks of a page in order; with `language`, those in it."""
    return [block for block in _blocks(page) if language in ("", block.language)]


def files_of(page: str) -> dict[str, str]:
    """The files of a page: path and content."""
    return {block.file: block.content for block in _blocks(page) if block.file}


def write_files(page: str, folder: Path) -> None:
    """Write the files of a page into a folder, as its reader does."""
    for name, content in files_of(page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def commands_in(code: str) -> Iterator[str]:
    """The commands of a bash block: lines with those that continue them; comments left out."""
    waiting = ""
    for line in code.splitlines():
        if not waiting and (not line.strip() or line.lstrip().startswith("#")):
            continue
        waiting += line + "\n"
        if not _goes_on(waiting):
            command = waiting.replace("\\\n", " ").strip()
            yield command if "\n" in command else " ".join(command.split())
            waiting = ""
    assert not waiting, f"a command that doesn't end: {waiting}"


def _goes_on(command: str) -> bool:
    """Whether a command needs its next line: a backslash, an open quote, loop or pipe, a here-document."""
    word = re.search(r"<<-?\s*['\"]?(\w+)", command)
    if command.endswith("\\\n") or (word and f"\n{word.group(1)}\n" not in command):
        return True
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, timeout=HANGS_AFTER_S)
    return "unexpected end of file" in checked.stderr or "unexpected EOF" in checked.stderr


def _blocks(page: str) -> Iterator[Block]:
    section, opened, indent, start = 0, "", "", 0
    language, inside = "", list[str]()
    for number, line in enumerate((ROOT / page).read_text().splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened and fence and fence.group(2).startswith(opened) and not fence.group(3):
            yield Block(page, start, section, language, "".join(f"{one}\n" for one in inside))
            opened = ""
        elif opened:
            inside.append(line.removeprefix(indent))
        elif fence:
            (indent, opened, language), start, inside = fence.groups(), number, []
        elif line.startswith("#"):
            section += 1
