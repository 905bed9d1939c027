"""One call that is to be made elsewhere: which function of which file, with which arguments."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """A call.

    Attributes:
        module: Name under which another process imports the code.
        file: Of that module, for a process that finds no module of this name.
        name: Of the function in the module; `Class.method` for a class method.
        arguments: JSON values.
    """

    module: str
    file: Path
    name: str
    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], arguments: tuple[Any, ...]) -> "Job":
        """Return the call of a function; raises TypeError unless it stands at the top level of its module."""
        if "." in function.__qualname__:
            raise TypeError(f"heavy work must be a function at the top level of its module: {function.__qualname__}")
        return cls._in_module(function.__module__, inspect.getfile(function), function.__qualname__, arguments)

    @classmethod
    def of_class(cls, owner: type, method: str, arguments: tuple[Any, ...]) -> "Job":
        """Return the call of a class method; the class stands at the top level of its module."""
        file = sys.modules[owner.__module__].__file__ or ""
        return cls._in_module(owner.__module__, file, f"{owner.__qualname__}.{method}", arguments)

    @classmethod
    def _in_module(cls, module: str, file: str, name: str, arguments: tuple[Any, ...]) -> "Job":
        path = Path(file).absolute()
        # A server that was started as a script is `__main__` only in its own process.
        return cls(path.stem if module == "__main__" else module, path, name, arguments)

    def request(self, cpu_limit_s: float) -> dict[str, Any]:
        """Return what a process of heavy work reads, as one line of JSON."""
        where = {"module": self.module, "file": str(self.file), "name": self.name}
        return {**where, "arguments": self.arguments, "cpu_limit_s": cpu_limit_s}
