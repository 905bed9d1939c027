"""All checks of an environment, one after the other."""

import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_gym.collections.tasks import read_tasks
from nemo_gym.environment_checks.data import check_data
from nemo_gym.environment_checks.determinism import check_determinism
from nemo_gym.environment_checks.isolation import check_isolation
from nemo_gym.environment_checks.latency import check_latency
from nemo_gym.environment_checks.null_policies import check_null_policies
from nemo_gym.environment_checks.oracle import check_oracle
from nemo_gym.environment_checks.report import CheckResult, Report
from nemo_gym.environment_checks.subject import Subject
from nemo_gym.event_loop import run
from nemo_gym.servers.serving.server import SimpleServer
from nemo_gym.testing.component import Component, component
from nemo_gym.testing.in_process import environment
from nemo_gym.wire.json_object import JsonObject

CHECKS: Mapping[str, Callable[[Subject], Awaitable[CheckResult]]] = {
    "data": check_data,
    "oracle": check_oracle,
    "null_policies": check_null_policies,
    "determinism": check_determinism,
    "isolation": check_isolation,
    "latency": check_latency,
}
"""By the name under which one can be left out."""

MAX_TASKS = 20
TASK_FILES = ("example", "train", "validation")
"""Files of a data folder that hold tasks; others may be anything, such as tables that the environment reads."""


async def check_subject(subject: Subject, *, skip: Collection[str] = ()) -> Report:
    """Run the checks but those in `skip`."""
    return Report(subject.name, [await check(subject) for name, check in CHECKS.items() if name not in skip])


async def check_environment(
    server_class: type[SimpleServer],
    tasks: Sequence[JsonObject],
    *,
    max_reward: float | None = None,
    skip: Collection[str] = (),
    **options: Any,
) -> Report:
    """Check a class; `options` are those of `nemo_gym.testing.environment`."""
    subject = Subject(
        server_class.__name__,
        lambda: environment(server_class, **options),
        tasks,
        _maximum(server_class, max_reward),
    )
    return await check_subject(subject, skip=skip)


def check_component(
    *paths: str | Path, limit: int = MAX_TASKS, max_reward: float | None = None, skip: Collection[str] = ()
) -> Report:
    """Check a component: its folder, or its configuration files. Blocks; not for use inside an event loop.

    Args:
        paths: As in `nemo_gym.testing.component`.
        limit: Example tasks that are rolled out.
        max_reward: What a solved task is worth; by default the class's `max_reward`, else 1.
        skip: Names of checks to leave out.
    """
    found = component(*paths)
    return run(check_subject(subject_of(found, paths, limit, max_reward), skip=skip))


def subject_of(
    found: Component, paths: Sequence[str | Path], limit: int = MAX_TASKS, max_reward: float | None = None
) -> Subject:
    """Return a component as what is checked."""
    places = [found.folder / "data" / f"{name}.jsonl" for name in TASK_FILES]
    data, examples = tuple(place for place in places if place.is_file()), places[0]
    tasks: list[JsonObject] = []
    for task in read_tasks(examples, limit) if examples.is_file() else ():
        try:
            tasks.append(task.row())
        except ValueError:  # the data check says so
            continue
    again = [sys.executable, "-m", "nemo_gym.environment_checks.restart", str(limit), *map(str, paths)]
    maximum = _maximum(found.server_class(), max_reward)
    return Subject(found.name, found.environment, tasks, maximum, data, again)


def _maximum(server_class: type[SimpleServer], given: float | None) -> float:
    return float(getattr(server_class, "max_reward", 1.0)) if given is None else given
