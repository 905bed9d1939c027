"""A run without a token stays on this machine; what others call and what is listened on are two settings."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_gym.config.addresses import http_url, is_loopback, reachable_host
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import RunConfig, load_config
from nemo_gym.config.reading.command_line import parse_command_line

WEATHER = "resources_servers/example_simple_weather/configs/simple_weather.yaml"
SCRIPTED = "responses_api_models/scripted_model/configs/scripted_model.yaml"
INNER = "example_simple_weather.resources_servers.example_simple_weather"
ROOT = Path(__file__).parents[3]


def load(*arguments: str) -> RunConfig:
    return load_config(parse_command_line([WEATHER, SCRIPTED, *arguments]), skip_dotenv=True)


def mistakes(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("argument", "who"),
    [
        ("default_host=0.0.0.0", "the head listens on 0.0.0.0"),
        ("default_bind_host=::", "server 'policy_model' listens on ::"),
        ("head_server.bind_host=10.0.0.1", "the head listens on 10.0.0.1"),
        ("head_server.host=some.name", "the head listens on some.name"),
        (f"{INNER}.bind_host=0.0.0.0", "server 'example_simple_weather' listens on 0.0.0.0"),
        (f"{INNER}.host=192.0.2.1", "server 'example_simple_weather' listens on 192.0.2.1"),
    ],
)
def test_without_a_token_an_address_of_the_network_is_refused(argument: str, who: str) -> None:
    said = mistakes("+auth=none", argument)
    assert f"auth=none, but {who}, which other machines can reach" in said
    assert f"key {argument.partition('=')[0]}" in said or "default" in argument
    assert "+allow_unauthenticated_network=true" in said
    assert load(argument).wants_token
    assert not load("+auth=none", argument, "+allow_unauthenticated_network=true").wants_token


@pytest.mark.parametrize("host", ["localhost", "127.0.0.9", "::1"])
def test_without_a_token_this_machine_alone_is_served(host: str) -> None:
    assert not load("+auth=none", f"default_host={host}").wants_token


def test_an_unknown_way_to_authenticate_is_refused_with_what_is_known() -> None:
    said = mistakes("+auth=nome")
    assert "auth is 'nome', which isn't known" in said
    assert "known: token, none" in said


def test_environment_sets_the_two_keys_below_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_GYM_AUTH", "none")
    assert not load().wants_token
    assert load("auth=token").wants_token
    assert "auth=none, but the head listens on 0.0.0.0" in mistakes("default_host=0.0.0.0")
    monkeypatch.setenv("NEMO_GYM_ALLOW_UNAUTHENTICATED_NETWORK", "true")
    assert not load("default_host=0.0.0.0").wants_token
    monkeypatch.setenv("NEMO_GYM_ALLOW_UNAUTHENTICATED_NETWORK", "false")
    assert "auth=none, but the head listens on 0.0.0.0" in mistakes("default_host=0.0.0.0")


@pytest.mark.parametrize(
    ("name", "value"), [("NEMO_GYM_AUTH", "nome"), ("NEMO_GYM_ALLOW_UNAUTHENTICATED_NETWORK", "perhaps")]
)
def test_a_variable_with_an_unknown_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    said = mistakes()
    assert value in said
    assert f"environment variable {name}" in said


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_GYM_AUTH", "")
    assert load().wants_token


def test_what_is_listened_on_and_what_others_call_are_two_settings() -> None:
    config = load("default_host=gym.example", "default_bind_host=0.0.0.0", f"{INNER}.bind_host=127.0.0.1")
    assert (config.head_host, config.head_bind_host) == ("gym.example", "0.0.0.0")
    assert {i.name: (i.host, i.bind_host) for i in config.instances} == {
        "example_simple_weather": ("gym.example", "127.0.0.1"),
        "simple_weather_simple_agent": ("gym.example", "0.0.0.0"),
        "policy_model": ("gym.example", "0.0.0.0"),
    }


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_a_server_that_listens_everywhere_is_called_by_an_address_that_others_can_use(everywhere: str) -> None:
    config = load(f"default_host={everywhere}")
    assert {instance.bind_host for instance in config.instances} == {config.head_bind_host} == {everywhere}
    assert {instance.host for instance in config.instances} == {config.head_host} == {reachable_host(everywhere)}
    assert config.head_host not in ("", "0.0.0.0", "::")


def test_loopback_is_distinguished_from_addresses_that_only_look_like_it() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1", "LOCALHOST"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1"]))
    assert http_url("::1", 80) == "http://[::1]:80"


@contextlib.contextmanager
def served_alone(host: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start `python app.py` with a configuration of one server, and no launcher."""
    block = f"{{entrypoint: app.py, domain: other, host: '{host}', port: 0}}"
    config = f"quiet: {{resources_servers: {{example_simple_weather: {block}}}}}"
    names = {"NEMO_GYM_CONFIG_DICT": config, "NEMO_GYM_CONFIG_PATH": "quiet", "PYTHONPATH": str(ROOT), **variables}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "resources_servers/example_simple_weather/app.py")],
        env={**{k: v for k, v in os.environ.items() if k != "NEMO_GYM_RUN_TOKEN"}, **names},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # else a failed assertion waits for a server that goes on serving


def said_first(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.integration
def test_a_server_alone_is_open_on_this_machine_says_so_and_refuses_the_network() -> None:
    token = {"NEMO_GYM_RUN_TOKEN": "t" * 32}
    with served_alone("127.0.0.1") as local, served_alone("0.0.0.0") as refused, served_alone("::1", **token) as v6:
        assert said_first(local).endswith("(without a token: NEMO_GYM_RUN_TOKEN is not set)")
        said, _ = refused.communicate(timeout=20)
        assert refused.returncode == 2
        assert "quiet would listen on 0.0.0.0" in said
        assert "set NEMO_GYM_RUN_TOKEN" in said
        assert "allow_unauthenticated_network=true" in said
        address = said_first(v6)
        assert address.startswith("serving on http://[::1]:")
        with socket.create_connection(("::1", int(address.rpartition(":")[2])), timeout=5) as caller:
            caller.sendall(b"GET /docs HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
            assert caller.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.integration
def test_a_server_alone_serves_the_network_without_a_token_where_the_environment_allows_it() -> None:
    with served_alone("0.0.0.0", NEMO_GYM_ALLOW_UNAUTHENTICATED_NETWORK="true") as allowed:
        said = said_first(allowed)
    assert said.startswith("serving on http://0.0.0.0:")
    assert said.endswith("(without a token: NEMO_GYM_RUN_TOKEN is not set)")
