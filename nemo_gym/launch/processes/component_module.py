"""A component's script as a module of its own: several live in one process, and each finds what stands beside it.

A script in a process of its own has its folder first on `sys.path`. Here there are several such folders, and two may
each hold a `tables.py`. So a script and its neighbors are imported as `<kind>.<component>.<name>`, where functions
can be pickled by name, and an `import tables` inside them, early or late, means the neighbor.
"""

import ast
import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from nemo_gym.servers.serving.server import SimpleServer, collecting_served_classes


def served_class(script: Path) -> type[SimpleServer]:
    """Import a server's script, and return the class that it would serve when run.

    Raises:
        SystemExit: It serves none, or several.
    """
    with collecting_served_classes() as served:
        module = _import_component(script)
        exec(_main_block(script), vars(module))
    if len(served) != 1:
        what = f"calls run_webserver() {len(served)} times" if served else "doesn't call run_webserver()"
        raise SystemExit(f"{script} {what}: a server's script ends with one call of it, below `if __name__ == ...`")
    return served[0]


def _main_block(script: Path) -> CodeType:
    """Return the code below `if __name__ == "__main__":`, which importing a script doesn't run."""
    tree = ast.parse(script.read_bytes(), str(script))
    guarded = [node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)]
    body = [statement for node in guarded for statement in node.body]
    return compile(ast.Module(body, type_ignores=[]), str(script), "exec")


def _import_component(script: Path) -> ModuleType:
    package = f"{script.parent.parent.name}.{script.parent.name}"
    if not any(isinstance(finder, _Finder) and finder.folder == script.parent for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(package, script.parent))
    _ensure_package(package, script.parent)
    return importlib.import_module(f"{package}.{script.stem}")


def _ensure_package(package: str, folder: Path) -> None:
    """Make the packages above a component's modules where its folder isn't below one of `sys.path`."""
    kind = package.partition(".")[0]
    for name, path in ((kind, folder.parent), (package, folder)):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            made = sys.modules[name] = ModuleType(name)
            made.__path__ = [str(path)]


class _Finder(MetaPathFinder):
    """Finds the modules of one component under their full names."""

    def __init__(self, package: str, folder: Path) -> None:
        self.folder = folder
        self._prefix = f"{package}."
        self._loaders: Any = (
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (partial(_Loader, package, folder), SOURCE_SUFFIXES),
        )

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self._prefix):
            return None
        inner = fullname.removeprefix(self._prefix).split(".")[:-1]
        return FileFinder(str(self.folder.joinpath(*inner)), *self._loaders).find_spec(fullname)


class _Loader(SourceFileLoader):
    """Gives a module an `import` that looks beside the component's script first."""

    def __init__(self, package: str, folder: Path, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._package = package
        self._folder = folder

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not self._is_neighbor(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = builtins.__import__(f"{self._package}.{name}", globals, locals, fromlist or ())
        return module if fromlist else sys.modules[f"{self._package}.{top}"]

    def _is_neighbor(self, name: str) -> bool:
        return (self._folder / f"{name}.py").is_file() or (self._folder / name / "__init__.py").is_file()
