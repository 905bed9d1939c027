"""Comparing what a page shows with what was printed."""

import re

_VARIES = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}"), "<run>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(pid|port) \d+"), r"\1 <number>"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), "<address>"),
    (re.compile(r"(?<![\w./])/[\w./+-]+"), "<path>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|min|MB|KB|GB)\b"), "<measure>"),
    (re.compile(r"\b\d+(\.\d+)?/s\b"), "<rate>"),
    (re.compile(r"[─━═│┃┏┓┗┛┡┩╇╈┳┻├┤┬┴┼╭╮╰╯|]+"), " "),
    (re.compile(r"\s+"), " "),
)
_ANYTHING = re.compile(r"…|\.\.\.")


def normalized(line: str) -> str:
    """A line without what is different each time: times, process ids, ports, paths, and the lines of tables."""
    for pattern, replacement in _VARIES:
        line = pattern.sub(replacement, line)
    return line.strip()


def missing_lines(shown: str, printed: str) -> list[str]:
    """The lines of `shown` that `printed` lacks, or has in another order. `…` in a line stands for anything."""
    wanted = [line for line in map(normalized, shown.splitlines()) if _ANYTHING.sub("", line)]
    lines, missing = list(map(normalized, printed.splitlines())), []
    for line in wanted:
        pattern = re.compile(".*".join(map(re.escape, _ANYTHING.split(line))))
        place = next((number for number, one in enumerate(lines) if pattern.fullmatch(one)), None)
        if place is None:
            missing.append(line)
        else:
            lines = lines[place + 1 :]
    return missing
