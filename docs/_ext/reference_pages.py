"""Reference pages that are made from the code they describe, when the site is built."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from nemo_gym.commands.console import COMMANDS
from nemo_gym.wire.failure import FAILURE_KINDS, TERMINAL_KINDS

_CAUSES = {
    "transport_unreachable": "nobody answers at an address: start what should be there, or correct the address",
    "transport_dropped": "a connection was lost before the answer was there",
    "transport_timeout": "no answer within the bound that the reason names",
    "transport_local_resource": "out of descriptors or ports: raise `ulimit -n`, or work on less at a time",
    "model_unavailable": "the model's endpoint answered 5xx, for longer than is waited for",
    "model_rate_limited": "the endpoint answered 429, for longer than is waited for",
    "model_quota_exhausted": "the account behind the key has no quota left",
    "model_auth": "the endpoint refuses the key",
    "model_bad_request": "the endpoint, or the converter, refuses the request; the reason says what",
    "model_bad_output": "the endpoint answered something that its API doesn't promise",
    "model_content_filter": "the endpoint's content filter refused the prompt, or cut the answer off",
    "context_length_exceeded": "the conversation is longer than the model's context",
    "agent_error": "the agent raised an exception",
    "agent_timeout": "the rollout took longer than it may",
    "tool_error": "a tool raised an exception",
    "tool_timeout": "a tool took longer than it may",
    "verifier_error": "the verifier raised an exception, or gave no finite reward",
    "verifier_timeout": "the verifier took longer than it may",
    "judge_failed": "the judge model couldn't be asked",
    "judge_unparseable": "no answer of the judge had a verdict",
    "session_lost": "a call for a session that the server doesn't have",
    "session_expired": "a call for a session that nobody had used for too long",
    "server_died": "a server of the run ended while it was asked",
    "token_data_invalid": "token data that a trainer can't rely on",
    "input_invalid": "a task row that can't be read, or lacks what the verifier needs",
    "cancelled": "somebody stopped it",
}


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources."""
    app.connect("builder-inited", _write_pages)
    return {"parallel_read_safe": True}


def _write_pages(app: Any) -> None:
    folder = Path(app.srcdir) / "reference"
    _write(folder / "commands.md", _commands())
    _write(folder / "failure-kinds.md", _failure_kinds())


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:  # what is unchanged isn't built again
        path.write_text(text)


def _commands() -> str:
    lines = ["# Commands", "", "Made from the commands' own `--help`.", ""]
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines += [f"## {group}", ""]
        for name, command in COMMANDS.items():
            if command.group == group:
                lines += [f"### ng_{name}", "", "```text", _help(f"ng_{name}"), "```", ""]
    return "\n".join(lines)


def _help(command: str) -> str:
    script = Path(sys.executable).with_name(command)
    done = subprocess.run([str(script), "--help"], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def _failure_kinds() -> str:
    lines = ["# Failure kinds", "", "What a failure's `failure_kind` says. A terminal one isn't tried again.", ""]
    lines += ["| kind | cause, and what to do | terminal |", "| --- | --- | --- |"]
    for kind in FAILURE_KINDS:
        lines.append(f"| `{kind}` | {_CAUSES[kind]} | {'yes' if kind in TERMINAL_KINDS else ''} |")
    lines += ["", "A server may add kinds of its own, as `<server>:<kind>`.", ""]
    return "\n".join(lines)
