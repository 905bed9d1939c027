"""The mock endpoint as a running program."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from benchmarks.program import free_port, python_module, running, wait_for_port


class EndpointReport(TypedDict):
    """What the endpoint saw: requests, the most at once, and step times (seconds) by the number of the step."""

    count: int
    peak: int
    step_times_s: dict[str, list[float]]


@dataclass(frozen=True)
class MockEndpoint:
    """Address of a running mock endpoint."""

    url: str

    def seen(self) -> EndpointReport:
        """Return what the endpoint saw; step times begin anew."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            report: EndpointReport = json.load(answer)
            return report


@contextlib.contextmanager
def mock_endpoint(folder: Path, *arguments: str) -> Iterator[MockEndpoint]:
    """Run a mock endpoint; `arguments` are those of `mock_openai`, without the port."""
    port = free_port()
    command = python_module("benchmarks.floor.mock_openai", "--port", str(port), *arguments)
    with running(command, folder, "endpoint") as process:
        wait_for_port(port, process)
        yield MockEndpoint(f"http://127.0.0.1:{port}")
