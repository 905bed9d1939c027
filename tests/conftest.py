"""How tests are spread over processes, and what the end of a run says about those that were skipped."""

from collections import Counter
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

SHARED_RUNS = "tests/integration/placement/"
PAGES = "tests/docs/test_pages.py"
PLACEMENTS = ("separate", "separate_workers", "colocated", "colocated_workers")

# How long examples take depends on what else the machine does, and says nothing about the code.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")


class FileOrRun(LoadFileScheduling):  # type: ignore[misc]  # xdist is not typed
    """By file, as `--dist loadfile`; but tests of one placement stay together, whose run takes seconds to start.

    The walks through the documentation are apart: they share nothing, and take minutes together.
    """

    def _split_scope(self, nodeid: str) -> str:
        names = nodeid.rpartition("[")[2].removesuffix("]").split("-")
        placement = next((name for name in names if name in PLACEMENTS), None)
        if SHARED_RUNS in nodeid and placement is not None:
            return f"{SHARED_RUNS}{placement}"
        if PAGES in nodeid:
            return nodeid
        return str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileOrRun | None:
    """Return the scheduler for `--dist loadfile`."""
    return FileOrRun(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """End with what was skipped and why, one line for each reason."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
