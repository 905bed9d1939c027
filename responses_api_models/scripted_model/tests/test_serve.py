"""The plain endpoint as a process: it starts anywhere, serves what the YAML says, and ends when it should."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[3]
CONFIG = Path(__file__).parents[1] / "configs" / "scripted_model.yaml"
SERVE = [sys.executable, "-m", "responses_api_models.scripted_model.serve", "--port", "0"]


def is_gone(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_serve_plays_the_settings_and_ends_on_sigterm(start):
    process, url = start(default_answer={"message": "played"})
    answer = httpx.post(f"{url}/v1/responses", json={"input": "x"}).json()
    assert answer["output"][0]["content"][0]["text"] == "played"
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def test_serve_ends_on_sigterm_although_a_silent_request_is_inside(start):
    process, url = start(faults=[{"kind": "silent"}])
    with httpx.Client(timeout=httpx.Timeout(60, read=0.2)) as client:
        try:
            client.post(f"{url}/v1/responses", json={"input": "x"})
        except httpx.ReadTimeout:
            process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def test_serve_ends_with_its_standard_input_when_asked_to(start):
    process, _ = start("--until-stdin-closes")
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    process.stdin = None  # closed already: communicate() must not flush it


def test_serve_ends_when_its_parent_is_killed():
    script = f"import subprocess, time; p = subprocess.Popen({SERVE!r}); print(p.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline().startswith("listening on http://127.0.0.1:")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while not is_gone(pid):  # pytest's own time-out is the bound
        time.sleep(0.05)


def test_serve_with_a_mistake_in_the_file_names_it_and_exits_2(tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text("ruls: []\nlatency_s: -1\n")
    done = subprocess.run([*SERVE, "--config", str(config)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "ruls" in done.stderr
    assert "latency_s" in done.stderr


@pytest.mark.parametrize("config", [CONFIG, CONFIG.relative_to(ROOT)], ids=["absolute", "relative"])
def test_serve_reads_the_shipped_instance_file_in_any_folder(config, tmp_path):
    command = [*SERVE, "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            url = process.stdout.readline().removeprefix("listening on ").strip()
            answer = httpx.post(f"{url}/v1/responses", json={"input": "What is the weather?"}).json()
        finally:
            process.terminate()
    assert "Which one?" in answer["output"][0]["content"][0]["text"]
