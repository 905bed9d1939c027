"""Following pages as a person does: commands in a terminal, files written, Python run, servers left running."""

import ast
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.not_run import reason_not_to_run
from tests.docs.outputs import missing_lines
from tests.docs.pages import OUTPUT, Block, blocks_of, commands_in
from tests.free_port import free_port
from tests.integration.conftest import COMMAND_BOUND_S

_KEPT = re.compile(r"(export |cd |source |\w+=\S*$|\w+=([\"']).*\2$)")
_STAYS = re.compile(r"(\w+=\S* )*(ng_run|ng_viewer|python -m responses_api_models\.\w+\.serve)\b(?!.*\+export=)")
_ENDS = re.compile(r"\b(detach|dry_run)=true|help\b|\|\|")
_PORT = re.compile(r"(?:127\.0\.0\.1:|localhost:|--port |\.port=)(\d{4,5})\b")
_READY = re.compile(r"servers are ready|^viewer: http|^listening on ", re.MULTILINE)
KEY = "sk-canary-4711"
_NOTEBOOK = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), "<the page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
done = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(done):
    asyncio.run(done)
"""


@dataclass
class Reader:
    """Somebody who follows pages in a folder of their own, with a terminal for what keeps running.

    Attributes:
        folder: Where they work.
        environment: Variables of every process.
        ports: Ports that pages name, and the free ones that are used instead.
        names: Other names that pages use, and what is used instead.
        given: Python that blocks of Python take for granted: names that the text has explained.
    """

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int]
    given: str = ""
    names: dict[str, str] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _logs: list[Path] = field(default_factory=list)
    _said: str = ""
    _has_detached: bool = False

    def follow(self, page: str) -> None:
        """Do what a page says, from top to bottom."""
        self._said, tests = "", list[Block]()
        for block in blocks_of(page):
            self.ports |= {port: free_port() for port in _PORT.findall(block.code) if port not in self.ports}
        before: Block | None = None
        for block in blocks_of(page):
            if block.file:
                self._write(block)
            elif block.language == "bash":
                self._type(block)
            elif block.language == "python" and "\ndef test_" in block.code.replace("async def", "def"):
                tests.append(block)
            elif block.language == "python":
                self._run_python(block)
            elif is_output(block, before):
                missing = missing_lines(block.code, self._everything_said())
                assert not missing, f"{block}: isn't printed: {missing}\nprinted was:\n{self._everything_said()}"
            before = block
        if tests:
            self._run_tests(page)

    def start(self, command: str) -> None:
        """Start what keeps running in a terminal of its own, and wait until it is ready."""
        program = next(word for word in command.split() if "=" not in word)
        self._stop(program)
        log = self.folder.parent / f"terminal-{len(self._logs)}.log"
        self._logs.append(log)
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", self._with_own_ports(command)],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._running[program] = process
        until = time.monotonic() + COMMAND_BOUND_S
        while not _READY.search(log.read_text()):
            assert process.poll() is None, f"{command}\n{log.read_text()}"
            assert time.monotonic() < until, f"{command}\n{log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ctrl-C in every terminal; and a run that was detached is stopped."""
        for program in list(self._running):
            self._stop(program)
        if self._has_detached:
            subprocess.run(["ng_stop"], cwd=self.folder, env=self.environment, timeout=COMMAND_BOUND_S, check=False)

    def _stop(self, program: str) -> None:
        process = self._running.pop(program, None)
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=COMMAND_BOUND_S)

    def _type(self, block: Block) -> None:
        self._said = ""
        commands = [each for each in commands_in(block.code) if not reason_not_to_run(block.page, each)]
        self._has_detached |= "detach=true" in block.code
        if any(command.endswith("&") for command in commands):  # the later ones may ask for `$!`
            commands = ["\n".join(commands)]
        for command in commands:
            if _KEPT.match(command):
                self._set_variables(command, block)
            elif _STAYS.match(command) and not _ENDS.search(command) and "\n" not in command:
                self.start(command)
            else:
                self._said += self._run(["bash", "-euo", "pipefail", "-c", self._with_own_ports(command)], block)

    def _set_variables(self, command: str, block: Block) -> None:
        script = f"set -aeuo pipefail; {self._with_own_ports(command)}\nenv -0; pwd"
        *variables, folder = self._run(["bash", "-c", script], block).split("\0")
        self.environment.update(variable.split("=", 1) for variable in variables)
        self.folder = Path(folder.strip())

    def _run_python(self, block: Block) -> None:
        if reason_not_to_run(block.page, block.code):
            return
        code = self.given + block.code
        try:
            compile(code, str(block), "exec")
            self._said = self._run([sys.executable, "-c", code], block)
        except SyntaxError:  # with `await` outside a function, as in a notebook
            compile(code, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            self._said = self._run([sys.executable, "-c", _NOTEBOOK], block, stdin=code)

    def _run_tests(self, page: str) -> None:
        code = "\n\n".join(block.code for block in blocks_of(page, "python") if not block.file)
        (self.folder / "test_page.py").write_text(code)
        options = ("-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "test_page.py")
        self._run([sys.executable, "-m", "pytest", *options], page)

    def _run(self, command: list[str], where: Block | str, stdin: str = "") -> str:
        log = self.folder.parent / "command.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            process.communicate(stdin.encode(), timeout=COMMAND_BOUND_S)
        finally:
            with contextlib.suppress(ProcessLookupError):  # what it left in the background
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=COMMAND_BOUND_S)
        said = log.read_text()
        assert process.returncode == 0, f"{where}: {command[-1]}\n{said}\n{self._everything_said()}"
        return said

    def _write(self, block: Block) -> None:
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.content)

    def _with_own_ports(self, command: str) -> str:
        for named, used in [*self.ports.items(), *self.names.items()]:
            command = re.sub(rf"\b{re.escape(named)}\b", str(used), command)
        return command

    def _everything_said(self) -> str:
        return self._said + "".join(log.read_text() for log in self._logs)


def is_output(block: Block, before: Block | None) -> bool:
    """Whether a block shows what the one before it prints: in OUTPUT, below a block that runs, in the same section."""
    return (
        block.language in OUTPUT
        and before is not None
        and before.language in ("bash", "python")
        and not before.file
        and before.section == block.section
    )


def new_reader(base: Path, environment: dict[str, str], endpoint: str = "http://127.0.0.1:9/v1") -> Reader:
    """Somebody with an empty folder, a key for the endpoint, and ports of their own."""
    folder = base / "work"
    folder.mkdir()
    ports = {"11000": free_port()}
    one = {"base_url": endpoint, "api_key": KEY, "model_name": "scripted"}
    values = {f"{role}_{name}": value for role in ("policy", "judge") for name, value in one.items()}
    head = f"head_server: {{host: 127.0.0.1, port: {ports['11000']}}}\n"
    (folder / "env.yaml").write_text(head + "".join(f"{key}: {value}\n" for key, value in values.items()))
    return Reader(folder, environment, ports)
