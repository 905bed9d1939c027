"""A driver on a node connects to its collection over the network: whom it works for, it has to know."""

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from nemo_gym import event_loop
from nemo_gym.rollouts.drivers import messages
from nemo_gym.rollouts.drivers.driver import DriverOnNode
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.serving.connections.listeners import bind
from tests.bounds import HANGS_AFTER_S

SECRET, PROOF = b"s" * 32, b"p" * 32
SETTINGS = messages.Settings("127.0.0.1", 1, {}, RunAccess(), None, {}, 1, 1.0, None, [])


def drive(port: int) -> None:
    event_loop.run(DriverOnNode(Path()).drive("127.0.0.1", port, SECRET, None, PROOF))


@contextmanager
def connection_of_driver() -> Iterator[socket.socket]:
    listener = bind("127.0.0.1", 0)
    listener.settimeout(HANGS_AFTER_S)
    driver = multiprocessing.get_context("spawn").Process(target=drive, args=(listener.getsockname()[1],))
    driver.start()
    connection, _ = listener.accept()
    with listener, connection:
        connection.settimeout(HANGS_AFTER_S)
        assert connection.recv(len(SECRET), socket.MSG_WAITALL) == SECRET
        yield connection
    driver.join(HANGS_AFTER_S)
    assert driver.exitcode == 0


@pytest.mark.parametrize(("proof", "is_answered"), [(PROOF, True), (None, False)])
def test_it_works_for_nobody_but_the_collection_that_its_actor_was_told_of(
    proof: bytes | None, is_answered: bool
) -> None:
    body = msgspec.msgpack.encode(msgspec.structs.replace(SETTINGS, proof=proof))
    with connection_of_driver() as connection:
        connection.sendall(len(body).to_bytes(4) + body)
        assert bool(connection.recv(1)) is is_answered
