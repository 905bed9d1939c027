"""List the environments that can be named, as in `ng_run NAME`: those in this folder and the project, and installed
ones; with domain, tools, datasets and licenses."""

import importlib.metadata
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.keys import RESOURCES_KIND
from nemo_gym.config.paths import shown
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.reading.environments import EnvironmentFolder, known_environments
from nemo_gym.config.reading.yaml_file import read_yaml_file
from nemo_gym.launch.terminal.tables import make_table, rendered

UNKNOWN = "?"


class ListOptions(BaseModel):
    """Parameters of ng_list."""

    as_json: bool = Field(default=False, description="Print JSON.")


class ListedEnvironment(BaseModel):
    """What ng_list says of one environment. `note`: why something isn't known; `tools` is then null."""

    name: str
    domain: str = UNKNOWN
    description: str = ""
    tools: list[str] | None = None
    datasets: list[str] = []
    licenses: list[str] = []
    source: str = Field(description="The distribution that installed it, else its folder.")
    folder: str
    note: str | None = None


def main() -> None:
    """Entry point of ng_list."""
    run_command("ng_list", __doc__ or "", ListOptions, show)


def show(command_line: CommandLine) -> int:
    """Print the environments."""
    require_known(ListOptions, command_line)
    options = read_options(ListOptions, command_line.overrides)
    listed = [describe(environment) for environment in known_environments()]
    if options.as_json:
        print(json.dumps([environment.model_dump() for environment in listed], indent=2))
        return DONE
    if not listed:
        print("no environments are installed here")
        return DONE
    table = make_table("name", "domain", "tools", "datasets", "license", "from")
    for found in listed:
        tools = UNKNOWN if found.tools is None else ", ".join(found.tools) or "none"
        table.add_row(
            found.name, found.domain, tools, ", ".join(found.datasets), ", ".join(found.licenses), found.source
        )
    print(rendered(table, sys.stdout.isatty()))
    for found in listed:
        if found.note is not None:
            print(f"{found.name}: {found.note}")
    return DONE


def describe(environment: EnvironmentFolder) -> ListedEnvironment:
    """Return what can be said of an environment; its code is imported for its tools, and nothing is started."""
    source = environment.distribution or shown(environment.folder)
    found = ListedEnvironment(name=environment.name, source=source, folder=str(environment.folder))
    try:
        values = read_yaml_file(environment.config_file())
    except ConfigError as error:
        return found.model_copy(update={"note": error.mistakes[0].what})
    settings = _settings(values, environment.folder.name)
    datasets = [entry for block in _blocks(values) for entry in block.get("datasets") or [] if isinstance(entry, dict)]
    licenses = [str(entry["license"]) for entry in datasets if entry.get("license")]
    known = {
        "domain": str(settings.get("domain") or "other"),
        "description": str(settings.get("description") or ""),
        "datasets": [str(entry.get("name")) for entry in datasets],
        "licenses": list(dict.fromkeys([*licenses, *_license_of(environment)])),
    }
    try:
        tools = _tools(environment.folder / str(settings.get("entrypoint", "app.py")), settings)
    except (Exception, SystemExit) as error:  # whatever its code raises, the others are listed
        return found.model_copy(update={**known, "note": f"its tools aren't known: {error!r}"})
    return found.model_copy(update={**known, "tools": tools})


def _blocks(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the innermost blocks of the servers in a configuration file."""
    kinds = [kind for block in values.values() if isinstance(block, dict) for kind in block.values()]
    return [inner for kind in kinds if isinstance(kind, dict) for inner in kind.values() if isinstance(inner, dict)]


def _settings(values: Mapping[str, Any], implementation: str) -> dict[str, Any]:
    blocks = [block.get(RESOURCES_KIND) for block in values.values() if isinstance(block, dict)]
    found = [kind[implementation] for kind in blocks if isinstance(kind, dict) and implementation in kind]
    return found[0] if found and isinstance(found[0], dict) else {}


def _tools(script: Path, settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the tools; those of MCP servers are asked for only in a run."""
    # Imported here: the web framework takes a second, and a mistake in the arguments needn't wait for it.
    from nemo_gym.launch.processes.component_module import served_class
    from nemo_gym.servers.serving.tool_listing import list_tools

    server_class: Any = served_class(script)
    config_class: Any = server_class.model_fields["config"].annotation
    of_a_run = {"host": "", "port": 0, "name": script.parent.name, "mcp": False}
    server = server_class(config=config_class.model_validate({**settings, **of_a_run}))
    from_mcp = [f"mcp:{entry['name']}" for entry in settings.get("mcp_servers") or []]
    return [str(tool["name"]) for tool in list_tools(server.setup_webserver())] + from_mcp


def _license_of(environment: EnvironmentFolder) -> list[str]:
    if environment.distribution is None:
        return []
    metadata = importlib.metadata.metadata(environment.distribution.split()[0])
    said = [metadata[key] for key in ("License-Expression", "License") if key in metadata]
    return said[:1]
