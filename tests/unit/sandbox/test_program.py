"""What an honest program gets: its files, its input, its result."""

import asyncio
import sys
from pathlib import Path

import pytest

from nemo_gym.sandbox import Sandbox, SandboxError, SandboxLevel, SandboxLimits
from nemo_gym.sandbox.filesystem import base_python
from tests.unit.sandbox.conftest import SMALL, scratch_folders

pytestmark = pytest.mark.alone


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


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", "."])
async def test_file_name_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be relative"):
        await Sandbox().run(["true"], files={name: b""})


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
