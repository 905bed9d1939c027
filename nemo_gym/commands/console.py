"""Every console script starts here: prepare the process, then import the command and run it.

Standard library only, so that Ctrl-C and closed streams are handled from the first moment: the imports of a command
take longer than some commands do.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Literal, NamedTuple

_INTERRUPTED = 130

RUN = "Run servers"
PREPARE = "Prepare tasks"
COLLECT = "Collect rollouts"
LOOK_AT = "Look at rollouts"
TRAIN = "Prepare training"
WRITE = "Write an environment"
LOOK_UP = "Look things up"


class Command(NamedTuple):
    """One command.

    Attributes:
        module: Its module below `nemo_gym.commands`.
        group: What people want to do when they need it.
        settings: Which keys of the configuration it reads beside its own parameters: the address of the head, all, or
            none.
    """

    module: str
    group: str
    settings: Literal["all", "head"] | None = None


COMMANDS = {
    "run": Command("servers.run", RUN, "all"),
    "status": Command("servers.status", RUN),
    "stop": Command("servers.stop", RUN),
    "prepare_data": Command("data.prepare", PREPARE),
    "upload_dataset_to_gitlab": Command("data.upload_to_gitlab", PREPARE),
    "download_dataset_from_gitlab": Command("data.download_from_gitlab", PREPARE),
    "delete_dataset_from_gitlab": Command("data.delete_from_gitlab", PREPARE),
    "upload_dataset_to_hf": Command("data.upload_to_hf", PREPARE),
    "download_dataset_from_hf": Command("data.download_from_hf", PREPARE),
    "gitlab_to_hf_dataset": Command("data.gitlab_to_hf", PREPARE),
    "collect_rollouts": Command("rollouts.collect", COLLECT, "head"),
    "e2e_collect_rollouts": Command("rollouts.e2e", COLLECT, "all"),
    "reverify": Command("rollouts.reverify", COLLECT, "head"),
    "viewer": Command("rollouts.viewer", LOOK_AT),
    "plot": Command("rollouts.plot", LOOK_AT),
    "profile": Command("training.profile", TRAIN),
    "select": Command("training.select", TRAIN),
    "compare": Command("training.compare", TRAIN),
    "export": Command("training.export", TRAIN),
    "init_resources_server": Command("environments.init_resources_server", WRITE),
    "check_environment": Command("environments.check_environment", WRITE),
    "test": Command("environments.test", WRITE),
    "test_all": Command("environments.test_all", WRITE),
    "list": Command("lookup.list", LOOK_UP),
    "dump_config": Command("lookup.dump_config", LOOK_UP, "all"),
    "help": Command("lookup.help", LOOK_UP),
    "version": Command("lookup.version", LOOK_UP),
}
"""Every command by its name without prefix, in the order in which `ng_help` lists them."""


def short_name(name: str) -> str:
    """Return a command's name without `ng_` or `nemo_gym_`."""
    return name.removeprefix("nemo_gym_").removeprefix("ng_")


def __getattr__(name: str) -> Callable[[], None]:
    """Each script is a name in this module: `ng_run` and `nemo_gym_run` start the command `run`."""
    if name == short_name(name) or short_name(name) not in COMMANDS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return partial(_start, short_name(name))


def _start(name: str) -> None:
    _open_missing_streams()
    # A KeyboardInterrupt inside an import may be swallowed, or turned into another error, by what is imported.
    handles_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handles_interrupt:
        signal.signal(signal.SIGINT, _end_at_once)
    try:
        command = importlib.import_module(f"nemo_gym.commands.{COMMANDS[name].module}")
        if handles_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command.main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        if handles_interrupt:
            signal.signal(signal.SIGINT, _end_at_once)  # everything is done; the interpreter is about to exit


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)


def _open_missing_streams() -> None:
    """Open what the caller closed (`>&-`) on the null device; else the next file or socket would become the stream."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number, which is `fd`
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
