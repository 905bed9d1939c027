"""The console scripts as processes: help, interrupts, closed streams."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nemo_gym.commands import console

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[3]


def _run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / arguments[0]), *arguments[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload,no-any-return]


def _shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_every_console_script_starts_at_the_one_entry() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    names = {f"{prefix}_{name}" for name in console.COMMANDS for prefix in ("ng", "nemo_gym")}
    assert scripts == {name: f"nemo_gym.commands.console:{name}" for name in names}
    assert all(callable(getattr(console, name)) for name in names)


def test_name_that_is_no_command_is_no_attribute() -> None:
    assert not hasattr(console, "ng_rn")
    assert not hasattr(console, "run")


def test_help_lists_every_command_in_groups_within_80_columns() -> None:
    lines = _run("ng_help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  ng_")] == [
        f"ng_{name}" for name in console.COMMANDS
    ]
    assert [line for line in lines if line.endswith(":") and line[0] != " "] == [
        "Run servers:",
        "Prepare tasks:",
        "Collect rollouts:",
        "Look at rollouts:",
        "Prepare training:",
        "Write an environment:",
        "Look things up:",
    ]


@pytest.mark.parametrize("name", ["ng_version", "version", "nemo_gym_version"])
def test_help_of_a_command_is_what_the_command_itself_prints(name: str) -> None:
    done = _run("ng_help", name)
    assert (done.returncode, done.stdout) == (0, _run("ng_version", "--help").stdout)


def test_help_of_an_unknown_command_names_the_near_one() -> None:
    done = _run("ng_help", "ng_versoin")
    assert done.returncode == 2
    assert "no command named 'ng_versoin'" in done.stderr
    assert "did you mean 'ng_version'?" in done.stderr


def test_interrupt_while_a_command_is_imported_ends_it_quietly() -> None:
    code = """if True:
        import os, signal, sys
        from nemo_gym.commands import console

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started without

        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == "nemo_gym.commands.servers.run":
                    os.kill(os.getpid(), signal.SIGINT)

        sys.meta_path.insert(0, Interrupt())
        console.ng_run()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_interrupt_of_a_command_in_its_work_is_status_130() -> None:
    code = """if True:
        import os, signal
        from nemo_gym.commands import console
        from nemo_gym.commands.lookup import version

        signal.signal(signal.SIGINT, signal.default_int_handler)
        version.show = lambda line: os.kill(os.getpid(), signal.SIGINT)
        console.ng_version()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_interrupt_that_the_caller_ignores_stays_ignored() -> None:
    code = """if True:
        import os, signal
        from nemo_gym.commands import console

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            console.ng_version()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("arguments", "status"), [("ng_version", 0), ("ng_help ng_run", 0), ("ng_version x=", 2)])
def test_closed_streams_change_nothing_but_what_is_seen(
    tmp_path: Path, closed: str, arguments: str, status: int
) -> None:
    done = _shell(f"{BIN}/{arguments} {closed}", tmp_path)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_file_opened_after_a_closed_stream_does_not_become_it(tmp_path: Path) -> None:
    code = """if True:
        import os
        from nemo_gym.commands import console
        from nemo_gym.commands.lookup import version

        version.show = lambda line: print("text") or os.open("file", os.O_CREAT)
        console.ng_version()
    """
    (tmp_path / "code.py").write_text(code)
    done = _shell(f"{sys.executable} code.py >&- 2>&- <&-", tmp_path)
    assert done.returncode >= 3  # the number of the descriptor


@pytest.mark.parametrize("command", ["ng_version", "ng_help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_is_gone_ends_a_command_quietly(command: str, unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = subprocess.Popen([str(BIN / command)], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    done = _shell(f"{BIN}/ng_version > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 28] No space left on device\n"


def test_home_that_is_a_file_holds_no_runs(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    done = _run("ng_status", env={**os.environ, "NEMO_GYM_HOME": str(tmp_path / "home")})
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "nothing runs here\n0 servers found (0 healthy, 0 unhealthy)\n",
        "",
    )
