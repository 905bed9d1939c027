"""The other end of heavy work: a script in a process of its own, which runs one function after another.

It imports nothing of this package, so that it starts fast. A line of JSON is a job, a line of JSON is its result.
"""

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import json
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, cast

_IMPORTS_WITHIN_S = 120.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Run jobs until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    results = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints isn't a result
    settings = json.loads(sys.stdin.readline())
    _end_with_parent(settings["parent"])
    sys.path[:] = settings["path"]
    with contextlib.suppress(ValueError, OSError):  # a lower limit holds already, or the system has none
        resource.setrlimit(resource.RLIMIT_AS, (settings["memory_limit_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    while True:
        results.write(_done(json.loads(jobs.get())) + "\n")
        results.flush()


def _read(jobs: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # the parent is gone, and with it whoever wants the result


def _end_with_parent(parent: int) -> None:
    """Ask the system to kill this process with its parent: inside C code `_read` wouldn't get a turn to notice."""
    with contextlib.suppress(AttributeError, OSError):  # other systems than Linux have no prctl
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _done(job: dict[str, Any]) -> str:
    try:
        _limit_cpu(_IMPORTS_WITHIN_S)
        function = _function(job["module"], job["file"], job["name"])
    except BaseException as error:
        return _unable(error)
    try:
        _limit_cpu(job["cpu_limit_s"])
        value = function(*job["arguments"])
    except MemoryError:
        return json.dumps({"limit": "memory"})
    except BaseException as error:  # some libraries' own time-outs are no Exception
        # A missing package or file, a full disk: what this machine lacks. A time-out is a decision of the function.
        if isinstance(error, ImportError | OSError) and not isinstance(error, TimeoutError):
            return _unable(error)
        return json.dumps({"error": _told(error)})
    try:
        return json.dumps({"value": value})
    except TypeError as error:  # whatever the answer was, this function returns what it must not
        return _unable(error)
    except ValueError as error:  # a number with too many digits
        return json.dumps({"error": _told(error)})


def _unable(error: BaseException) -> str:
    return json.dumps({"unable": _told(error), "python": sys.executable})


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:2000]}{where}"


def _limit_cpu(seconds: float) -> None:
    """From now on for so long, rounded up: then the system ends this process, whatever it is doing."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 1, hard))


def _function(module: str, file: str, name: str) -> Callable[..., Any]:
    if module not in sys.modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:  # an environment in a folder of its own
            if not f"{module}.".startswith(f"{error.name}."):
                raise
            sys.path.insert(0, os.path.dirname(file))
            spec = importlib.util.spec_from_file_location(module, file)
            assert spec is not None and spec.loader is not None  # noqa: PT018  # it is a Python file
            sys.modules[module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[module])
    found: Any = functools.reduce(getattr, name.split("."), sys.modules[module])
    return cast(Callable[..., Any], found)


if __name__ == "__main__":
    main()
