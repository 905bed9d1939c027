"""Make a folder for a new resources server that runs and whose tests pass."""

import keyword
import re
from pathlib import Path
from string import Template
from typing import Literal

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, read_options, require_known, run_command
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import RESOURCES_KIND
from nemo_gym.config.reading.command_line import CommandLine

TEMPLATES = Path(__file__).parents[2] / "templates" / "resources_server"
SHARED = "shared"
TemplateName = Literal["tools", "single_answer", "stateful", "multi_turn", "judge"]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class InitOptions(BaseModel):
    """Parameters of ng_init_resources_server."""

    entrypoint: Path = Field(description="The new folder: resources_servers/<name>.")
    template: TemplateName = Field(
        default="tools",
        description="What it begins with: tools; single_answer, one function; stateful, a state for each session; "
        "multi_turn, a user who goes on; judge, another model that compares answers.",
    )


def main() -> None:
    """Entry point of ng_init_resources_server."""
    run_command("ng_init_resources_server", __doc__ or "", InitOptions, init)


def init(command_line: CommandLine) -> int:
    """Write the folder and say what to do next."""
    require_known(InitOptions, command_line)
    options = read_options(InitOptions, command_line.overrides)
    folder = options.entrypoint
    try:
        _check(folder)
        written = write_server(folder, options.template)
    except OSError as error:
        what = f"can't make {error.filename}: {error.strerror}"
        raise ConfigError(Mistake(what, where="entrypoint", fix="choose a folder you can write to")) from error
    for path in written:
        print(path)
    print(f"\nnext: ng_test +entrypoint={folder}, then write your environment in {folder}/app.py")
    print(f"proof without a model: ng_check_environment +entrypoint={folder}")
    return DONE


def write_server(folder: Path, template_name: TemplateName = "tools") -> list[Path]:
    """Write the files of a new server; return their paths."""
    name = folder.name
    files = _files(name, template_name)
    configs = " ".join(f"{RESOURCES_KIND}/{name}/{path}" for path in files if path.parent.name == "configs")
    words = {"name": name, "title": name.replace("_", " ").capitalize(), "class_name": _class_name(name)}
    written = []
    for relative, template in files.items():
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text()).substitute(words, configs=configs))
        written.append(target)
    return written


def _files(name: str, template_name: TemplateName) -> dict[Path, Path]:
    """Return the template of each file, by the file's place in the new folder; a template's own come before shared."""
    found: dict[Path, Path] = {}
    for folder in (TEMPLATES / SHARED, TEMPLATES / template_name):
        for template in folder.rglob("*.template"):
            relative = template.relative_to(folder).with_suffix("")
            found[relative.with_stem(name) if relative.name == "config.yaml" else relative] = template
    return dict(sorted(found.items()))


def _check(folder: Path) -> None:
    is_name = _NAME.fullmatch(folder.name) and not keyword.iskeyword(folder.name)
    if folder.parent.name != RESOURCES_KIND or not is_name:
        what = f"'{folder}' isn't a folder for a new resources server"
        fix = "write +entrypoint=resources_servers/<name>, the name in small letters, digits and _"
        raise ConfigError(Mistake(what, where="entrypoint", fix=fix))
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(Mistake(f"{folder} exists and is not empty", where="entrypoint", fix="choose another name"))


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
