"""A process is known by its id and by when it started."""

import os
import subprocess
import sys

import psutil
import pytest

from nemo_gym.servers.runs.record import started_at


def test_a_process_knows_the_start_time_that_others_see() -> None:
    assert started_at(os.getpid()) == pytest.approx(psutil.Process().create_time(), abs=0.1)


def test_a_process_that_has_ended_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert started_at(process.pid) is None  # a zombie
    assert started_at(process.pid) is None
