"""Names that are not ours, bodies and headers without end, and senders that fall silent, against a started run."""

import select
import socket
import time

import httpx
import pytest

from tests.bounds import HANGS_AFTER_S
from tests.security.access.conftest import MAX_REQUEST_BYTES, LockedRun, all_of, said_to, status_of

pytestmark = pytest.mark.integration
OURS = ["localhost", "localhost:1", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:99"]
NOT_OURS = [
    "rebound.example",
    "rebound.example:11000",
    "localhost.rebound.example",
    "127.0.0.1.nip.io",
    "127.0.0.1@rebound.example",
    "localhost:80@rebound.example",
    "[::1].rebound.example",
    "[::2]",
    "::1",
    "0.0.0.0",
    "10.0.0.1",
    "2130706433x",
    "",
]


@pytest.mark.parametrize("server", ["head", "example_room_booking"])
@pytest.mark.parametrize("path", ["/health", "/docs"])
def test_only_requests_that_name_this_machine_as_their_host_are_answered(
    run: LockedRun, server: str, path: str
) -> None:
    with httpx.Client(base_url=run.url(server), headers=run.bearer) as caller:
        assert {caller.get(path, headers={"host": host}).status_code for host in OURS} == {200}
        refused = [caller.get(path, headers={"host": host}) for host in NOT_OURS]
    assert {answer.status_code for answer in refused} == {421}
    assert all("Host header" in answer.json()["detail"] for answer in refused)


def test_no_host_and_two_hosts_are_refused(run: LockedRun) -> None:
    for hosts in (
        b"",
        b"Host: localhost\r\nHost: rebound.example\r\n",
        b"Host: rebound.example\r\nHost: localhost\r\n",
    ):
        request = b"GET /health HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n"
        assert status_of(said_to(run.head_port, request)) in (400, 421)


def headers_of(run: LockedRun, *more: str) -> bytes:
    lines = [f"authorization: Bearer {run.token}", "host: localhost", "content-type: application/json", *more]
    return ("POST /seed_session HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(run: LockedRun) -> None:
    port = run.ports["example_room_booking"]
    answer = said_to(port, headers_of(run, f"content-length: {MAX_REQUEST_BYTES + 1}"))
    assert (status_of(answer), b"max_request_bytes" in answer, b"connection: close" in answer) == (413, True, True)
    assert status_of(said_to(port, headers_of(run, "content-length: 99999999999999999999"))) in (400, 413)


def test_a_body_up_to_the_limit_is_taken_and_one_byte_more_is_not(run: LockedRun) -> None:
    url = f"{run.url('example_room_booking')}/seed_session"
    body = b'{"x": "' + b"y" * (MAX_REQUEST_BYTES - 9) + b'"}'
    assert len(body) == MAX_REQUEST_BYTES
    for content in (body, iter([body[:50_000], body[50_000:]])):
        assert httpx.post(url, content=content, headers=run.bearer).status_code == 200
    assert httpx.post(url, content=body + b" ", headers=run.bearer).status_code == 413


def test_a_body_in_chunks_is_cut_off_at_the_limit(run: LockedRun) -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answer = said_to(run.ports["example_room_booking"], headers_of(run, "transfer-encoding: chunked") + chunk * 50)
    assert status_of(answer) == 413
    assert answer.count(b"HTTP/1.1") == 1


def test_other_servers_of_the_run_have_the_limit_of_their_own(run: LockedRun) -> None:
    body = {"input": "x" * 2 * MAX_REQUEST_BYTES}
    answer = httpx.post(f"{run.url('policy_model')}/v1/responses", json=body, headers=run.bearer)
    assert answer.status_code == 200


@pytest.mark.parametrize("endless", [b"x: " + b"y" * 70_000, b"x: y\r\n" * 12_000], ids=["one-header", "many"])
def test_headers_without_end_are_refused(run: LockedRun, endless: bytes) -> None:
    start = b"GET /health HTTP/1.1\r\nhost: localhost\r\n" + endless
    assert status_of(said_to(run.head_port, start)) == 431
    assert status_of(said_to(run.head_port, start + b"\r\n\r\n")) == 431
    assert httpx.get(f"{run.url('head')}/health").status_code == 200


def test_the_sender_of_a_body_that_is_too_large_reads_the_refusal_and_is_disconnected(run: LockedRun) -> None:
    with socket.create_connection(("127.0.0.1", run.ports["example_room_booking"]), timeout=5) as caller:
        caller.sendall(headers_of(run, f"content-length: {10 * MAX_REQUEST_BYTES}"))
        caller.sendall(b"x" * 1_000)
        assert status_of(all_of(caller)) == 413
        assert closes(caller)


def closes(connection: socket.socket) -> bool:
    """Tell whether what is sent is no longer taken."""
    until = time.monotonic() + HANGS_AFTER_S
    while time.monotonic() < until:
        try:
            connection.sendall(b"x")
        except OSError:
            return True
        time.sleep(0.1)
    return False


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the other end has closed, or said something."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable)


def test_500_silent_connections_delay_nobody_else(run: LockedRun) -> None:
    port = run.ports["example_room_booking"]
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(500)]
    try:
        for connection in silent[::2]:
            connection.sendall(b"POST /seed_session HTTP/1.1\r\nhost: loc")
        for _ in range(5):
            assert httpx.get(f"{run.url('example_room_booking')}/health", timeout=HANGS_AFTER_S).status_code == 200
        # Nobody was let go first: the server answered beside them.
        assert not any(is_closed(connection) for connection in silent)
    finally:
        for connection in silent:
            connection.close()
