"""Another user of the same machine: no route, no token, no environment of a process."""

import json
import os
import shutil
import subprocess

import pytest

from tests.security.access.conftest import LockedRun

NOBODY = 65_534
PYTHON = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0 or PYTHON is None, reason="needs root, to be somebody else, and a python"),
]
TRIES = """
import json, sys, urllib.error, urllib.request
asked, urls, files = json.load(sys.stdin), [], []
for url in asked["urls"]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=5) as answer:
            urls.append([answer.status, ""])
    except urllib.error.HTTPError as error:
        urls.append([error.code, error.read().decode()])
for path in asked["files"]:
    try:
        files.append(open(path, "rb").read().decode("latin-1"))
    except OSError as error:
        files.append(type(error).__name__)
print(json.dumps({"urls": urls, "files": files}))
"""


def tried_by_nobody(urls: list[str], files: list[str]) -> dict[str, list[list[object]]]:
    done = subprocess.run(
        [PYTHON or "", "-I", "-c", TRIES],
        input=json.dumps({"urls": urls, "files": files}),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        cwd="/",
        env={},
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )
    tried: dict[str, list[list[object]]] = json.loads(done.stdout)
    return tried


def test_another_user_can_neither_call_nor_read(run: LockedRun) -> None:
    urls = [f"{run.url('room_booking_simple_agent')}/run", f"{run.url('example_room_booking')}/verify"]
    pids = [run.process.pid, *(state["pid"] for state in run.servers.values())]
    logs = [str(state["log"]) for state in run.servers.values()]
    private = [str(run.run_directory / "token"), str(run.run_directory / "run.json"), *logs]
    environments = [f"/proc/{pid}/environ" for pid in pids]
    found = tried_by_nobody(urls, [*private, *environments])
    assert [status for status, _ in found["urls"]] == [401, 401]
    assert not any(run.token in str(text) for _, text in found["urls"])
    assert found["files"] == ["PermissionError"] * (len(private) + len(environments))


def test_what_another_user_may_read_tells_nothing(run: LockedRun) -> None:
    pids = [run.process.pid, *(state["pid"] for state in run.servers.values())]
    found = tried_by_nobody([], [*(f"/proc/{pid}/cmdline" for pid in pids), "/proc/net/tcp"])
    assert all(run.token not in str(text) for text in found["files"])
