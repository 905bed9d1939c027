"""A driver: runs the rollouts that a collection hands to it, and reports what becomes of them; it writes no file.

usage: python -m nemo_gym.rollouts.drivers.driver FD
FD is the driver's end of a socket. When the other end is gone, however it died, the driver ends at once.
"""

import asyncio
import os
import socket
import ssl
import sys
from hmac import compare_digest
from pathlib import Path
from typing import Any

import orjson
from omegaconf import DictConfig

from nemo_gym import event_loop
from nemo_gym.collections.line_file import encode_line
from nemo_gym.collections.metrics.measures import measure
from nemo_gym.collections.outcomes import Attempt, AttemptOutcome, Failed
from nemo_gym.collections.records import FailureRecord
from nemo_gym.collections.tasks import Task
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.drivers import messages
from nemo_gym.rollouts.drivers.channel import Channel
from nemo_gym.rollouts.runner import LocalRunner, RolloutRules, Work
from nemo_gym.rollouts.token_data.masking import TokenDataMasking
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import raise_descriptor_limit
from nemo_gym.servers.runs.tls import TlsFiles

_CONNECT_S = 10.0


def main() -> None:
    """Drive until the collection hangs up; then end without waiting for what runs, which may be thousands."""
    raise_descriptor_limit()
    event_loop.run(_drive_to_the_end(socket.socket(fileno=int(sys.argv[1]))))


async def _drive_to_the_end(
    connection: socket.socket, tls: ssl.SSLContext | None = None, proof: bytes | None = None
) -> None:
    channel: Channel[messages.ToDriver] = Channel(messages.ToDriver)
    driver = Driver(channel, proof)
    await channel.open(connection, driver.on_message, tls)
    await channel.ended
    sys.stderr.flush()
    os._exit(0)


class DriverOnNode:
    """A driver in an actor of a cluster, which ends with it.

    Args:
        root: Where the code of the run was unpacked.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def drive(self, host: str, port: int, secret: bytes, tls: TlsFiles | None, proof: bytes) -> None:
        """Connect to a collection, show the secret that it gave us, and drive until it hangs up.

        With `tls` this end then proves who it is, as a server does. The other end shows `proof` in its first message,
        which nobody on the way can read then.
        """
        raise_descriptor_limit()
        connection = socket.create_connection((host, port), timeout=_CONNECT_S)
        connection.sendall(secret)
        await _drive_to_the_end(connection, None if tls is None else tls.server_context().now(), proof)


class Driver:
    """Runs rollouts side by side, as many as are handed to it.

    Args:
        channel: To the collection.
        proof: What the collection shows first: it hangs up on anybody else; None: there is nobody else.
    """

    def __init__(self, channel: Channel[messages.ToDriver], proof: bytes | None = None) -> None:
        self._channel = channel
        self._proof = proof
        self._runner: LocalRunner
        self._masking: TokenDataMasking
        self._sent_fields: frozenset[str]
        self._tasks: set[asyncio.Task[None]] = set()

    def on_message(self, message: messages.ToDriver) -> None:
        """Do what the collection asks for."""
        if isinstance(message, messages.Run):
            task = asyncio.create_task(self._run(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(message, messages.Settings):
            self._begin(message)
        else:
            self._runner.stop()

    def _begin(self, settings: messages.Settings) -> None:
        if self._proof is not None and not compare_digest(settings.proof or b"", self._proof):
            self._channel.close()
            return
        head = BaseServerConfig(host=settings.head_host, port=settings.head_port)
        client = ServerClient(head, DictConfig(settings.server_config), settings.access)
        rules = RolloutRules(settings.agent_name, settings.params, settings.max_attempts, settings.rollout_timeout_s)
        self._masking = TokenDataMasking(settings.check_token_ids)
        self._runner = LocalRunner(client, self, rules, self._masking)
        self._sent_fields = frozenset(settings.sent_fields)
        self._channel.send(messages.Ready())

    async def _run(self, run: messages.Run) -> None:
        task_index, rollout_index = run.key
        trajectory = None if run.trajectory is None else orjson.loads(run.trajectory)
        task = Task(task_index, run.line_number, run.line)
        work = Work(task, rollout_index, run.first_attempt, trajectory, run.max_attempts)
        self._channel.send(self._report(await self._runner.outcome(work)))

    def _report(self, outcome: AttemptOutcome) -> messages.Verified | messages.GivenUp:
        if isinstance(outcome, Failed):
            return messages.GivenUp(outcome.key, _as_json(outcome.record))
        measures = measure(outcome.line, self._sent_fields)
        example, self._masking.example = self._masking.example, None
        counted = outcome.reward, outcome.is_masked, outcome.mask_kind
        return messages.Verified(outcome.key, *counted, outcome.line, measures, example)

    # What the runner tells of.

    def materialize(self, attempt: Attempt, row: dict[str, Any]) -> None:
        """Report a row as it is sent."""
        self._channel.send(messages.Materialized(attempt.key, encode_line(attempt.materialized(row))))

    def dispatched(self, attempt: Attempt) -> None:
        """Report that an attempt begins."""
        self._channel.send(messages.Dispatched(attempt.key, attempt.number))

    def attempt_failed(self, failed: Failed) -> None:
        """Report an attempt that will be followed by another."""
        self._channel.send(messages.AttemptFailed(failed.key, _as_json(failed.record)))

    def unverified(self, attempt: Attempt, verify_request: dict[str, Any]) -> None:
        """Report what was generated and could not be verified."""
        line = attempt.unverified_line(verify_request)
        if line is not None:
            self._channel.send(messages.Unverified(attempt.key, line))


def _as_json(record: FailureRecord) -> bytes:
    return record.model_dump_json().encode()


if __name__ == "__main__":
    main()
