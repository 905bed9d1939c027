"""Reference pages that are made from the code they describe, when the site is built."""

import json
import runpy
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import route_pages
from pydantic import BaseModel

from nemo_gym.collections.schemas import FORMATS, schema_of
from nemo_gym.commands.console import COMMANDS
from nemo_gym.commands.lookup.list import describe
from nemo_gym.commands.parameters import parameters
from nemo_gym.config.reading.environments import EnvironmentFolder
from nemo_gym.config.schema import BaseRunServerInstanceConfig, RunSettings
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.servers.serving.server import SimpleServer, collecting_served_classes
from nemo_gym.wire.failure import FAILURE_KINDS, TERMINAL_KINDS

_ROOT = Path(__file__).parents[2]
_MOST_TOOLS = 4
_OPENING = "At the end of this page you know {}. A minute to look one up; made from {}."
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
    "turn_error": "the environment raised an exception while it gave the user's next message",
    "turn_timeout": "the environment took longer for the user's next message than it may",
    "user_failed": "the model that plays the user couldn't be asked",
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
    if app.builder.name == "markdown":
        return  # `make docs` has written them a moment ago, for the HTML
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    _write(folder / "commands.md", _commands())
    _write(folder / "failure-kinds.md", _failure_kinds())
    _write(folder / "settings.md", _settings())
    _write(folder / "file-formats.md", _file_formats())
    _write(folder / "environments.md", _environments())
    _write(folder / "http-routes.md", route_pages.page())


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:  # what is unchanged isn't built again
        path.write_text(text)


def _commands() -> str:
    lines = ["# Commands", "", _OPENING.format("what a command takes", "the commands' own `--help`"), ""]
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
    lines = ["# Failure kinds", "", _OPENING.format("what a failure's `failure_kind` says", "the code"), ""]
    lines += ["A terminal failure isn't tried again.", ""]
    lines += ["| kind | cause, and what to do | terminal |", "| --- | --- | --- |"]
    for kind in FAILURE_KINDS:
        lines.append(f"| `{kind}` | {_CAUSES[kind]} | {'yes' if kind in TERMINAL_KINDS else ''} |")
    lines += ["", "A server may add kinds of its own, as `<server>:<kind>`.", ""]
    return "\n".join(lines)


def _settings() -> str:
    every = set(BaseRunServerInstanceConfig.model_fields)
    lines = ["# Settings", "", _OPENING.format("what a setting means", "the models that read them"), ""]
    lines += ["## Of a run", "", *_table(RunSettings), *_table(LaunchOptions)[2:]]
    lines += ["", "## Of every server", "", *_table(BaseRunServerInstanceConfig)]
    for kind in ("responses_api_models", "responses_api_agents", "resources_servers"):
        lines += ["", f"## {kind}"]
        for script in sorted((_ROOT / kind).glob("*/app.py")):
            lines += ["", f"### {script.parent.name}", ""]
            lines += _table(_served_class(script).model_fields["config"].annotation, without=every)
    return "\n".join(lines) + "\n"


def _served_class(script: Path) -> type[SimpleServer]:
    with collecting_served_classes() as served:
        runpy.run_path(str(script), run_name="__main__")
    return served[0]


def _table(settings: Any, without: Collection[str] = ()) -> list[str]:
    assert issubclass(settings, BaseModel)
    rows = [
        f"| `{one.name}` | {_cell(one.type)} | {_cell(one.default)} | {_cell(one.meaning)} |"
        for one in parameters(settings)
        if one.name not in without
    ]
    return ["| setting | type | default | meaning |", "| --- | --- | --- | --- |", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _file_formats() -> str:
    lines = [
        "# File formats",
        "",
        _OPENING.format("which fields the files of a collection have", "the models that write and read them"),
    ]
    for name in FORMATS:
        lines += ["", f"## {name}", "", "```json", json.dumps(schema_of(name), indent=1), "```"]
    return "\n".join(lines) + "\n"


def _environments() -> str:
    lines = [
        "# Environments",
        "",
        "At the end of this page you know which environments are shipped; a minute. Made from configurations and",
        "code, as `ng_list` does it. Data without a licence of its own has that of the repository.",
        "",
        "| environment | domain | what it is | tools | example tasks | licence |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for folder in sorted(path.parent for path in (_ROOT / "resources_servers").glob("*/app.py")):
        one = describe(EnvironmentFolder(folder.name, folder))
        rows = folder / "data/example.jsonl"
        tools = one.tools or []
        shown = ", ".join(f"`{name}`" for name in tools[:_MOST_TOOLS])
        more = f" and {len(tools) - _MOST_TOOLS} more" if len(tools) > _MOST_TOOLS else ""
        count = len(rows.read_text().splitlines()) if rows.exists() else 0
        what, licence = _cell(one.description), ", ".join(one.licences) or "Apache-2.0"
        lines.append(f"| `{one.name}` | {one.domain} | {what} | {shown + more or 'none'} | {count} | {licence} |")
    return "\n".join(lines) + "\n"
