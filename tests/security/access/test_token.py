"""Nobody calls a server of a run without its token, and those who may have it find it by themselves."""

import json
import os
import stat
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from tests.chaos.processes import BIN
from tests.security.access.conftest import LockedRun

pytestmark = pytest.mark.integration
OF_EVERY_SERVER = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/redoc"),
    ("GET", "/openapi.json"),
    ("GET", "/no/such/route"),
    ("POST", "/health"),
    ("HEAD", "/health"),
    ("GET", "/health/"),
    ("GET", "/health/../docs"),
    ("OPTIONS", "/docs"),
]
ROUTES = {
    "head": [("GET", "/server_instances"), ("GET", "/global_config_dict_yaml")],
    "example_room_booking": [
        ("POST", "/seed_session"),
        ("POST", "/book_room"),
        ("POST", "/verify"),
        ("POST", "/close_session"),
        ("GET", "/tools"),
    ],
    "policy_model": [("POST", "/v1/responses"), ("POST", "/v1/chat/completions")],
    "room_booking_simple_agent": [("POST", "/run"), ("POST", "/v1/responses")],
}
WRONG: list[dict[str, str]] = [
    {},
    {"authorization": "Bearer wrong"},
    {"authorization": "Bearer"},
    {"x-nemo-gym-token": "wrong"},
    {"x-nemo-gym-token": ""},
    {"cookie": "token=x"},
]


@pytest.mark.parametrize("server", ROUTES)
def test_every_route_but_health_requires_the_token(run: LockedRun, server: str) -> None:
    with httpx.Client(base_url=run.url(server)) as caller:
        for method, path in OF_EVERY_SERVER + ROUTES[server]:
            answer = caller.request(method, path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
        assert caller.get("/health").status_code == 200


@pytest.mark.parametrize("server", ROUTES)
def test_with_the_token_every_route_is_as_it_was(run: LockedRun, server: str) -> None:
    with httpx.Client(base_url=run.url(server), headers=run.bearer) as caller:
        assert [caller.get(path).status_code for path in ("/docs", "/openapi.json", "/no")] == [200, 200, 404]
        for method, path in ROUTES[server]:
            assert caller.request(method, path, json={}).status_code not in (401, 404, 421), path


@pytest.mark.parametrize("headers", WRONG, ids=str)
def test_the_answer_to_a_wrong_token_says_only_how_to_present_the_right_one(
    run: LockedRun, headers: dict[str, str]
) -> None:
    answer = httpx.get(f"{run.url('head')}/server_instances", headers=headers)
    assert answer.status_code == 401
    for hint in ("NEMO_GYM_RUN_TOKEN", "Authorization: Bearer", "x-nemo-gym-token", "ng_status"):
        assert hint in answer.json()["detail"]
    assert str(run.home) not in answer.text
    assert run.token not in answer.text


def test_a_token_that_is_almost_right_is_refused(run: LockedRun) -> None:
    for token in (run.token[:-1], run.token + "x", run.token.swapcase(), f"{run.token},{run.token}"):
        assert httpx.get(f"{run.url('head')}/docs", headers={"x-nemo-gym-token": token}).status_code == 401


def test_either_header_may_carry_the_token_and_the_other_may_be_the_callers_own(run: LockedRun) -> None:
    own = {"authorization": "Basic bWU6cGFzcw=="}
    token = {"x-nemo-gym-token": run.token}
    for headers in (run.bearer, {"authorization": f"bearer {run.token}"}, token, {**token, **own}):
        assert httpx.get(f"{run.url('policy_model')}/docs", headers=headers).status_code == 200


async def test_a_client_of_the_same_user_finds_the_token(run: LockedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_GYM_HOME", str(run.home))
    client = ServerClient.load_from_global_config(BaseServerConfig(host="127.0.0.1", port=run.head_port))
    tools = await client.get("example_room_booking", "/tools")
    own = await client.get("example_room_booking", "/tools", headers={"Authorization": "Basic eDp5"})
    await close_global_aiohttp_client()
    assert (tools.status, own.status) == (200, 200)
    assert run.token not in repr(vars(client)["head_server_config"])


def command(run: LockedRun, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(BIN / arguments[0]), f"head_server.port={run.head_port}", *arguments[1:]],
        cwd=run.folder,
        env={**os.environ, "NEMO_GYM_HOME": str(run.home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def collect(run: LockedRun, output: Path) -> tuple[int, str]:
    tasks = output.with_name("tasks.jsonl")
    tasks.write_text(json.dumps({"responses_create_params": {"input": "Book nothing."}, "expected_rooms": []}) + "\n")
    options = ["+agent_name=room_booking_simple_agent", f"+input_jsonl_fpath={tasks}", f"+output_jsonl_fpath={output}"]
    return command(run, "ng_collect_rollouts", *options)


def test_commands_of_the_same_user_find_the_token(run: LockedRun, tmp_path: Path) -> None:
    status, said = command(run, "ng_status")
    assert status == 0, said
    assert said.endswith("\n3 servers found (3 healthy, 0 unhealthy)\n")
    status, said = command(run, "ng_status", "+token_file=true")
    assert (status, Path(said.strip()).read_text()) == (0, run.token)
    status, said = collect(run, tmp_path / "own.jsonl")
    assert status == 0, said


async def test_a_caller_on_another_machine_is_refused_in_words_and_accepted_with_the_variable(
    run: LockedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = BaseServerConfig(host="127.0.0.1", port=run.head_port)
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"wants its token, and none was found(?s:.*)set NEMO_GYM_RUN_TOKEN"):
        ServerClient.load_from_global_config(head)
    monkeypatch.setenv("NEMO_GYM_HOME", str(run.home))
    monkeypatch.setenv("NEMO_GYM_RUN_TOKEN", "wrong")
    with pytest.raises(ConfigError, match="NEMO_GYM_RUN_TOKEN holds another"):
        ServerClient.load_from_global_config(head)
    monkeypatch.setenv("NEMO_GYM_HOME", str(tmp_path))
    monkeypatch.setenv("NEMO_GYM_RUN_TOKEN", run.token)
    answer = await ServerClient.load_from_global_config(head).get("example_room_booking", "/tools")
    await close_global_aiohttp_client()
    assert answer.status == 200


def test_only_the_owner_can_read_the_token_and_it_is_in_no_command_line_or_log(run: LockedRun) -> None:
    token = run.run_directory / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(run.run_directory.stat().st_mode) == 0o700
    for process in psutil.process_iter(["cmdline"]):
        assert run.token not in " ".join(process.info["cmdline"] or [])
    written = [path for path in run.folder.rglob("*") if path.is_file() and path != token]
    assert len(written) >= 5
    assert [path for path in written if run.token.encode() in path.read_bytes()] == []


def test_answers_of_the_head_do_not_contain_the_token(run: LockedRun) -> None:
    with httpx.Client(base_url=run.url("head"), headers=run.bearer) as caller:
        for _, path in ROUTES["head"]:
            assert run.token not in caller.get(path).text
