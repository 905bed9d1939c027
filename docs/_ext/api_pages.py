"""Pages of the Python API, made from `__all__` and the docstrings of the public modules, when the site is built."""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

# By what somebody wants to do. Where a module has no `__all__`, its public names stand here.
MODULES: dict[str, dict[str, tuple[str, ...]]] = {
    "Write an environment": {
        "nemo_gym.environments": (),
        "nemo_gym.base_resources_server": (),
        "nemo_gym.judge": (),
        "nemo_gym.sandbox": (),
        "nemo_gym.outbound_fetch": (),
    },
    "Test and check it": {"nemo_gym.testing": (), "nemo_gym.environment_checks": ()},
    "Roll out from a program": {
        "nemo_gym": ("gym", "to_dataframe", "PARENT_DIR", "ROOT_DIR", "CACHE_DIR", "RESULTS_DIR"),
        "nemo_gym.in_process.gym": ("Gym",),
        "nemo_gym.in_process.results": ("RolloutResult",),
        "nemo_gym.rollout_collection": (),
        "nemo_gym.cli": (),
    },
    "Write a model or an agent server, call servers": {
        "nemo_gym.base_responses_api_model": (),
        "nemo_gym.base_responses_api_agent": (),
        "nemo_gym.server_utils": (),
        "nemo_gym.models.chat": (),
        "nemo_gym.openai_utils": (),
    },
    "Read collections": {
        "nemo_gym.collections.reading.reader": (),
        "nemo_gym.collections.schemas": ("FORMATS", "schema_of"),
    },
    "Configure": {"nemo_gym.config_types": (), "nemo_gym.global_config": ()},
}


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources, and show the fields of pydantic models."""
    app.connect("builder-inited", _write_pages)
    app.connect("autodoc-process-docstring", _add_fields)
    app.connect("autodoc-process-signature", _without_fields)
    return {"parallel_read_safe": True}


def public_names() -> Iterator[tuple[str, str, Any]]:
    """Yield module, name and object of everything that is public, module by module."""
    for modules in MODULES.values():
        for module_name, listed in modules.items():
            module = importlib.import_module(module_name)
            for name in listed or module.__all__:
                yield module_name, name, getattr(module, name)


def pages() -> dict[str, str]:
    """Return each page's text by its name, `index` among them."""
    index = ["# Python API", "", _INTRODUCTION, ""]
    texts: dict[str, str] = {}
    home: dict[int, str] = {}  # an object is described where it comes first; other modules link there
    for group, modules in MODULES.items():
        index += [f"## {group}", "", "| module | what it is |", "| --- | --- |"]
        for module in modules:
            names = [(name, value) for owner, name, value in public_names() if owner == module]
            texts[module] = _page(module, names, home)
            index.append(f"| [`{module}`]({module}.md) | {_summary(importlib.import_module(module))} |")
        index.append("")
    index += ["```{toctree}", ":hidden:", "", *texts, "```", ""]
    return {"index": "\n".join(index), **texts}


_LONGEST_VALUE = 600
_INTRODUCTION = (
    "Every public name, made from the code. What stands nowhere here is internal and may change. "
    "What is here keeps its name and its meaning."
)


def _page(module: str, names: list[tuple[str, Any]], home: dict[int, str]) -> str:
    lines = [f"# `{module}`", "", _summary(importlib.import_module(module)), ""]
    for name, value in names:
        path, is_described = f"{module}.{name}", inspect.isclass(value) or inspect.isfunction(value)
        owner = value.__module__.partition(".")[0] if is_described else ""
        if is_described and owner not in sys.stdlib_module_names | {"nemo_gym"}:
            lines += [f"- `{name}` is the `{value.__name__}` of `{owner}`", ""]  # described by those who wrote it
            continue
        if is_described and home.setdefault(id(value), path) != path:
            lines += [f"- `{name}` is {{py:obj}}`{home[id(value)]}`", ""]
            continue
        lines += ["```{eval-rst}", *_directive(path, value), "```", ""]
    return "\n".join(lines)


def _directive(path: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        return [f".. autoclass:: {path}"]
    if inspect.isfunction(value):
        return [f".. autofunction:: {path}"]
    if isinstance(value, Path):
        return [f".. autodata:: {path}", "   :no-value:"]  # where the package lies on the machine that builds the site
    text = str(value).replace("typing.", "").replace("collections.abc.", "")
    module, _, name = path.rpartition(".")
    return [
        f".. py:currentmodule:: {module}",
        "",
        f".. py:data:: {name}",
        "",
        *([f"   ``{text}``"] if len(text) < _LONGEST_VALUE else []),
    ]


def _summary(module: Any) -> str:
    return (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")


def _add_fields(_app: Any, what: str, _name: str, value: Any, _options: Any, lines: list[str]) -> None:
    if what != "class" or not issubclass(value, BaseModel):
        return
    own = {name: one for name, one in value.model_fields.items() if name in inspect.get_annotations(value)}
    if own:
        lines += ["", *(f":param {name}: {_meaning(one)}" for name, one in own.items()), ""]


def _meaning(field: FieldInfo) -> str:
    default = "" if field.default_factory else f"Default: `{field.default!r}`."
    words = (field.description or "", "Required." if field.is_required() else default)
    return " ".join(words).replace("\n", " ").strip()


def _without_fields(_app: Any, what: str, _name: str, value: Any, *_: Any) -> tuple[str, None] | None:
    # A model's signature would repeat its fields, and those of its bases, in one long line.
    return ("", None) if what == "class" and issubclass(value, BaseModel) else None


def _write_pages(app: Any) -> None:
    if app.builder.name == "markdown":
        return  # as in reference_pages
    folder = Path(app.srcdir) / "apidocs"
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
