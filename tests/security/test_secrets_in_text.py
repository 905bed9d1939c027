"""Secrets in what a process says: printed configuration, errors, log lines, tracebacks, failures."""

import base64
import io
import json
import logging
import pickle
import subprocess
import sys
import traceback
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import quote

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.traceback import Traceback

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    SimpleResourcesServer,
    ToolError,
)
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.load import load_config
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.config.secrets import learn_secrets, mask_secrets
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI
from nemo_gym.server_utils import ServerClient
from nemo_gym.wire.failure import Failure, rollout_error
from nemo_gym.wire.scrubber import Scrubber

CANARY = "sk-canary-text-81f2"
ASIDE = {"host": "", "port": 0, "entrypoint": "app.py", "name": "judge"}


class Nested(BaseModel):
    access_token: str


class JudgeConfig(BaseResourcesServerConfig):
    openai_api_key: str
    my_secret: str = "none"
    headers: dict[str, Any] = {}
    search: Nested = Nested(access_token="none")
    search_url: str = ""


class JudgeServer(SimpleResourcesServer):
    config: JudgeConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        for tool in (self.crash, self.refuse, self.reject):
            app.post(f"/{tool.__name__}")(tool)
        return app

    async def crash(self) -> None:
        raise RuntimeError(f"401 for the key {self.config.openai_api_key}")

    async def refuse(self) -> None:
        raise ToolError(f"no result at {self.config.search_url}")

    async def reject(self) -> None:
        raise HTTPException(502, {"tried": [{"key": self.config.my_secret}]}, {"x-tried": self.config.my_secret})

    async def verify(self, body: BaseVerifyRequest) -> Any:
        raise ValueError(self.config.openai_api_key)


@pytest.fixture(scope="module", autouse=True)
def _read_configuration() -> None:
    """What a process does before anything else; from then on it keeps the canary to itself."""
    load_config(parse_command_line([]), skip_dotenv=True, initial={"policy_api_key": CANARY})


@pytest.fixture
def config() -> JudgeConfig:
    return JudgeConfig(
        **ASIDE,
        openai_api_key=CANARY,
        my_secret=CANARY,
        headers={"Authorization": f"Bearer {CANARY}", "accept": "all"},
        search=Nested(access_token=CANARY),
        search_url=f"http://user:{CANARY}@host/v1",
    )


@pytest.fixture
def server(config: JudgeConfig) -> JudgeServer:
    return JudgeServer(config=config, server_client=MagicMock(spec=ServerClient))


def test_a_printed_configuration_shows_everything_but_its_secrets(config: JudgeConfig, server: JudgeServer) -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(config, server)
    for text in (repr(config), str(config), f"{config}", repr([config]), repr(server), console.file.getvalue()):  # type: ignore[attr-defined]
        assert CANARY not in text
        assert "judge" in text
        assert "accept" in text


def test_a_server_reads_its_key_as_plain_text_and_dumps_it_exactly(config: JudgeConfig) -> None:
    assert type(config.openai_api_key) is str
    assert config.openai_api_key == CANARY
    assert config.model_dump()["search"] == {"access_token": CANARY}
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("show_locals", [False, True])
def test_a_traceback_with_local_variables_shows_no_configuration(config: JudgeConfig, show_locals: bool) -> None:
    console = Console(file=io.StringIO(), width=200)
    try:
        _fail_with(config)
    except ZeroDivisionError as error:
        console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=show_locals))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "_fail_with" in text
    assert CANARY not in text


def _fail_with(config: JudgeConfig) -> float:
    return len(config.name) / 0


def test_a_validation_error_does_not_repeat_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        JudgeConfig(**ASIDE, openai_api_key=[CANARY], headers=CANARY)
    assert "openai_api_key" in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "written",
    [
        pytest.param({"head_server": {"host": "127.0.0.1", "port": CANARY}}, id="at-another-key"),
        pytest.param({"policy_api_key": CANARY, "default_host": {"a": "${policy_api_key}"}}, id="interpolated"),
        pytest.param({"j": {"resource_servers": {"j": {"entrypoint": "a.py", "key": CANARY}}}}, id="almost-server"),
    ],
)
def test_a_mistake_in_the_configuration_is_reported_without_the_key(written: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(parse_command_line([]), skip_dotenv=True, initial=written)
    assert CANARY not in str(caught.value)
    assert CANARY not in str(pickle.loads(pickle.dumps(caught.value)))


def test_a_key_among_the_arguments_is_warned_about_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    load_config(parse_command_line([f"+policy_api_key={CANARY}-2", "+other_api_key=dummy_key"]), skip_dotenv=True)
    assert "policy_api_key is on the command line" in caplog.text
    assert "other_api_key" not in caplog.text
    assert CANARY not in caplog.text


def test_log_lines_and_their_tracebacks_are_clean_whoever_handles_them() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    log = logging.getLogger("somebody.else")
    log.addHandler(handler)
    try:
        log.error("calling %s with %r", "http://host", {"key": CANARY})
        try:
            raise RuntimeError(CANARY)
        except RuntimeError:
            log.exception("failed")
        log.error("arguments that do not fit: %s")
        log.error("%d of %s", 3, "plain")
    finally:
        log.removeHandler(handler)
    assert CANARY not in stream.getvalue()
    assert "RuntimeError: ****" in stream.getvalue()
    assert "3 of plain" in stream.getvalue()


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_process_that_dies_with_the_key_in_its_exception_does_not_print_it(where: str) -> None:
    code = f"""
import threading
from nemo_gym.config.load import merge_sources
key = merge_sources(skip_dotenv=True, initial={{"policy_api_key": "{CANARY}"}})["policy_api_key"]
def die(): raise RuntimeError(f"refused: {{key}}")
die() if "{where}" == "main" else threading.Thread(target=die).start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "RuntimeError: refused: ****" in done.stderr
    assert CANARY not in done.stderr


@pytest.mark.parametrize("path", ["/crash", "/refuse", "/reject", "/verify"])
def test_the_error_answers_of_a_server_never_repeat_its_key(
    server: JudgeServer, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    row = {
        "responses_create_params": {"input": "x"},
        "response": {"id": "r", "created_at": 1, "model": "m", "output": []},
    }
    answer = TestClient(server.setup_webserver(), raise_server_exceptions=False).post(path, json=row)
    assert answer.status_code >= 400
    assert answer.json()["error"]["kind"]
    assert CANARY not in answer.text + str(answer.headers) + caplog.text


def test_a_failure_is_bounded_and_clean_however_it_was_made() -> None:
    long = "x" * 995 + CANARY * 3
    for failure in (
        Failure(kind="agent_error", reason=f"key {CANARY}", upstream_body=long),
        Failure.model_validate({"kind": "agent_error", "reason": CANARY * 500, "upstream_body": long}),
        rollout_error("agent_error", long * 3, upstream_body=long).failure,
    ):
        assert "sk-canary" not in failure.model_dump_json() + str(pickle.dumps(failure))
        assert len(failure.reason) <= 2000
        assert len(failure.upstream_body or "") <= 1000


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"a {CANARY} b", id="plain"),
        pytest.param("Basic " + base64.b64encode(f"user:{CANARY}".encode()).decode(), id="basic-authorization"),
        pytest.param(f"cut off: {CANARY[:12]}", id="beginning-at-the-end"),
    ],
)
def test_the_scrubber_finds_a_secret_in_other_encodings(text: str) -> None:
    scrubber = Scrubber([CANARY, f"user:{CANARY}"])
    clean = scrubber.text(text)
    assert "****" in clean
    assert "canary" not in clean
    assert "sk-" not in clean


@pytest.mark.parametrize("secret", ['pass"word\\with é', "a+b/c=d&e f", "line one\nline two"])
def test_the_scrubber_finds_escaped_secrets(secret: str) -> None:
    scrubber = Scrubber([secret])
    for text in (json.dumps({"key": secret}), f"http://h/?k={quote(secret, safe='')}"):
        assert scrubber.text(text).count("****") == 1


@pytest.mark.parametrize("word", ["none", "EMPTY", "dummy_key", "not-needed", "12345", "********", "password"])
def test_placeholders_do_not_garble_what_is_said(word: str) -> None:
    text = f"{word} of the {word} rows"
    assert Scrubber([word]).text(text) == text


def test_cutting_never_leaves_a_piece_of_a_secret_behind() -> None:
    scrubber = Scrubber([CANARY])
    for before in range(60):
        clean = scrubber.cut("x" * before + f"-{CANARY}" * 5 + "y" * 50, 40)
        assert len(clean) <= 40
        assert "sk-" not in clean


def test_the_first_characters_of_a_secret_at_the_end_of_a_text_are_masked() -> None:
    assert Scrubber([CANARY]).text(f"{CANARY[:8]}! {CANARY[:10]}") == f"{CANARY[:8]}! ****"


def test_a_secret_that_an_interpolation_put_elsewhere_is_masked_there_too() -> None:
    config = {
        "policy_api_key": CANARY,
        "judge": {"resources_servers": {"judge": {"extra": {"x-auth": f"Bearer {CANARY}"}, "host": "127.0.0.1"}}},
    }
    assert CANARY not in str(mask_secrets(config))


def test_masking_leaves_what_finds_a_server_alone() -> None:
    config = {"policy_api_key": "policy_model", "host": "policy_model", "model": {"type": "x", "name": "policy_model"}}
    assert mask_secrets(config) == {**config, "policy_api_key": "****"}


def test_an_endpoint_with_a_key_and_credentials_in_its_url_is_a_mistake_that_shows_neither() -> None:
    with pytest.raises(ConfigError, match="policy_model has an API key, and its URL has credentials too") as caught:
        NeMoGymAsyncOpenAI(f"http://user:{CANARY}@host/v1", CANARY, name="policy_model")
    assert CANARY not in str(caught.value)


def test_a_mistake_made_before_a_secret_was_known_is_clean_when_it_is_shown() -> None:
    mistake = Mistake("no file 'sk-canary-late-5522'")
    learn_secrets({"api_key": "sk-canary-late-5522"})
    assert "late" not in str(ConfigError(mistake))
