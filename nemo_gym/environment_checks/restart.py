"""The rewards of a component in a process of its own, for the check that a restart changes nothing.

usage: python -m nemo_gym.environment_checks.restart <limit> <folder or configuration files>
"""

import sys
from collections.abc import Sequence

import orjson

from nemo_gym.environment_checks.checks import subject_of
from nemo_gym.environment_checks.determinism import rewards, rollouts_of
from nemo_gym.event_loop import run
from nemo_gym.testing.component import component


async def _rewards(limit: int, paths: Sequence[str]) -> list[float | None]:
    subject = subject_of(component(*paths), paths, limit)
    async with subject.start() as env:
        return await rewards(env, await rollouts_of(env, subject))


if __name__ == "__main__":
    sys.stdout.write("\n" + orjson.dumps(run(_rewards(int(sys.argv[1]), sys.argv[2:]))).decode() + "\n")
