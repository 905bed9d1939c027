"""What an honest program gets: its files, its input, its result."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.sandbox import Sandbox, SandboxError, SandboxLevel, SandboxLimits, entrypoint
from nemo_gym.sandbox.entrypoint import EntrypointSpec
from nemo_gym.sandbox.filesystem import base_python
from nemo_gym.sandbox.seccomp import filter_program
from tests.unit.sandbox.conftest import SMALL, scratch_folders

pytestmark = pytest.mark.alone

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root's programs get a user of their own at level rlimits")
# The entrypoint lists its inputs right after becoming the program's user.
REPORT_LATE_IMPORTS = """
import os, sys
late = False
def hook(event, arguments):
    global late
    late = late or event == 'os.scandir'
    if late and event == 'import':
        os.write(1, f'{arguments[0]} '.encode())
sys.argv = sys.argv[1:]
sys.addaudithook(hook)
exec(open(sys.argv[0]).read(), {'__name__': '__main__'})
"""


async def test_program_gets_its_files_and_input_and_its_result_comes_back(
    sandbox: Sandbox, level: SandboxLevel
) -> None:
    source = (
        "import sys, data.rows\n"
        "print(open('note.txt').read(), sys.stdin.read(), data.rows.N)\n"
        "print('!', file=sys.stderr)\n"
    )
    files: dict[str, bytes | str] = {"note.txt": "é", "data/rows.py": b"N = 3"}
    before = scratch_folders()
    result = await sandbox.run_python(source, files=files, stdin=b"input")
    assert result.ok
    assert (result.stdout, result.stderr) == ("é input 3\n".encode(), b"!\n")
    assert (result.level, result.limit_hit, result.timed_out) == (level, None, False)
    assert scratch_folders() <= before


async def test_program_may_write_its_folder_and_start_processes(sandbox: Sandbox) -> None:
    result = await sandbox.run(["sh", "-c", "echo a > out.txt; cat out.txt | sort; exit 7"])
    assert (result.exit_status, result.stdout) == (7, b"a\n")


async def test_program_ended_by_a_signal_reports_it_as_a_shell_does(sandbox: Sandbox) -> None:
    result = await sandbox.run(["sh", "-c", "kill -TERM $$"])
    assert (result.exit_status, result.limit_hit) == (128 + 15, None)


async def test_program_that_reads_no_input_is_no_error(sandbox: Sandbox) -> None:
    assert (await sandbox.run(["true"], stdin=b"x" * 1_000_000)).ok


async def test_programs_in_parallel_do_not_meet(sandbox: Sandbox) -> None:
    source = (
        "import sys, os; open('mine', 'x').write(sys.stdin.read()); print(open('mine').read(), len(os.listdir('.')))"
    )
    results = await asyncio.gather(*(sandbox.run_python(source, stdin=str(i).encode()) for i in range(6)))
    assert [result.stdout for result in results] == [f"{i} 2\n".encode() for i in range(6)]


async def test_missing_program_is_the_sandboxes_error_and_no_result(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match=r"was not run: no-such-program: .*No such file"):
        await sandbox.run(["no-such-program"])


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"/etc/x": b""}, "must be relative.*'/etc/x'", id="absolute"),
        pytest.param({"../x": b""}, "must be relative", id="parent"),
        pytest.param({"a/../../x": b""}, "must be relative", id="parent-of-parent"),
        pytest.param({"": b""}, "must be relative.*''", id="empty"),
        pytest.param({".": b""}, "must be relative", id="the-folder-itself"),
        pytest.param({"a/": b""}, "name a file: 'a/'", id="folder"),
        pytest.param({"a\0b": b""}, "must be relative", id="nul"),
        pytest.param({"\udc80": b""}, "can't be written as UTF-8", id="surrogate"),
        pytest.param({"a" * 300: b""}, "too long .300 characters", id="long"),
        pytest.param({"a/" * 2000 + "b": b""}, "too long", id="deep"),
        pytest.param({"a/b": b"", "a": b""}, "'a' can't also be the folder of 'a/b'", id="file-and-folder"),
        pytest.param({"a": b"", "./a": b""}, "name 'a' twice", id="twice"),
        pytest.param({"a": "\udc80"}, "'a' can't be written as UTF-8", id="text-with-a-surrogate"),
        pytest.param({"main.py": b""}, "'main.py' is the program itself", id="program"),
        pytest.param({"main.py/x": b""}, "'main.py' can't also be the folder", id="below-the-program"),
    ],
)
async def test_files_that_cannot_be_written_are_refused_in_one_line(files: dict[str, bytes | str], told: str) -> None:
    with pytest.raises(ValueError, match=told) as refusal:
        await Sandbox(level="best_effort").run_python("", files=files)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("files", [{1: b""}, {"a": 1}, {"a": None}], ids=repr)
async def test_file_of_another_type_is_refused_in_one_line(files: Any) -> None:
    with pytest.raises(TypeError, match=r"sandbox file .*must be text"):
        await Sandbox(level="best_effort").run(["true"], files=files)


async def test_program_in_namespaces_is_tried_once_for_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bwrap, starts = tmp_path / "bwrap", tmp_path / "starts"
    bwrap.write_text(f"#!/bin/sh\necho >> {starts}\nexit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    await asyncio.gather(*(Sandbox(level="best_effort").level() for _ in range(5)))
    assert starts.read_text().count("\n") == 1


@AS_ROOT
async def test_interpreter_that_only_root_can_run_is_told_with_how_to_fix_it(rlimits: Sandbox, tmp_path: Path) -> None:
    python = tmp_path / "closed" / "python"
    python.parent.mkdir(mode=0o700)
    python.symlink_to("/usr/bin/python3")
    sandbox = Sandbox(SMALL, "best_effort", python=str(python), visible=[python.parent])
    with pytest.raises(SandboxError, match=r"cannot be run by other users.*\n  fix: .*every user can run"):
        await sandbox.run_python("")


def test_entrypoint_imports_nothing_once_it_may_have_become_another_user(tmp_path: Path) -> None:
    # That user may not be able to read the library: a late import would end as if the program had failed.
    spec = EntrypointSpec(["true"], str(tmp_path), {}, None, False, filter_program().hex(), status_fd=2)
    command = [base_python(), "-I", "-S", "-c", REPORT_LATE_IMPORTS, entrypoint.__file__, json.dumps(spec._asdict())]
    ended = subprocess.run(command, capture_output=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, b"+", b"")


async def test_strict_without_bubblewrap_says_what_to_install(rlimits: Sandbox) -> None:
    with pytest.raises(SandboxError, match=r"bwrap\) is not installed\n  fix: install bubblewrap .*best_effort"):
        await Sandbox(level="strict").run(["true"])


async def test_environment_made_for_programs_brings_its_packages(namespaces: Sandbox, tmp_path: Path) -> None:
    graders = tmp_path / "graders"
    packages = graders / f"lib/python3.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    (packages / "grader_package.py").write_text("N = 3")
    (graders / "bin").mkdir()
    (graders / "bin/python").symlink_to(base_python())
    (graders / "pyvenv.cfg").write_text(f"home = {Path(base_python()).parent}\n")
    sandbox = Sandbox(SMALL, python=str(graders / "bin/python"), visible=[graders])
    assert (await sandbox.run_python("import grader_package; print(grader_package.N)")).stdout == b"3\n"


@pytest.mark.parametrize(
    ("visible", "told"), [("/no/such", "no such folder"), ("/etc", "name its folder in 'visible'")]
)
def test_interpreter_that_programs_would_not_see_is_told_at_once(visible: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Sandbox(python="/opt/python/bin/python", visible=[visible])


def test_limit_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="processes must be positive, not 0"):
        SandboxLimits(processes=0)
