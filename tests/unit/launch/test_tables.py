"""Tables for people: 80 columns are enough, addresses stay whole, log folders are named once."""

import pytest

from nemo_gym.config.load import load_config
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.launch.terminal.tables import ready_text, status_text
from nemo_gym.servers.runs.record import RunRecord, ServerInstanceState

LOGS = "/home/somebody/.nemo_gym/runs/20260101-000000-abcdef/logs"
RUN = RunRecord("20260101-000000-abcdef", 1234567, 0.0, "127.0.0.1", 11000, "/home/somebody", 0.0, (), 5.0, True)


def state_of(name: str, state: str = "ready", host: str = "127.0.0.1") -> ServerInstanceState:
    address = f"[{host}]" if ":" in host else host
    return ServerInstanceState(
        name=name,
        kind="responses_api_agents",
        implementation="simple_agent",
        host=host,
        port=40123,
        url=f"http://{address}:40123",
        pid=1234567,
        state=state,
        log=f"{LOGS}/{name}.log",
    )


def columns(text: str) -> int:
    """The longest line without its bold header's codes, and without paths, which are never broken."""
    lines = [line.replace("\033[1m", "").replace("\033[0m", "") for line in text.splitlines()]
    return max(len(line) for line in lines if "/home/" not in line and "servers are ready" not in line)


@pytest.fixture(autouse=True)
def _terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", ["simple_weather_simple_agent", "a_name_that_is_much_longer_" * 3])
def test_tables_fit_80_columns_and_leave_addresses_whole(name: str) -> None:
    states = [state_of(name), state_of("other", "unresponsive")]
    config = load_config(parse_command_line([]), skip_dotenv=True)
    ready = ready_text(states, config, 1.0, "Ctrl-C stops them", is_terminal=True)
    status = status_text(RUN, states, [True, False], is_terminal=True)
    for text in (ready, status):
        assert columns(text) <= 80
        assert text.count("http://127.0.0.1:40123") == 2
        assert text.count(LOGS) == 1


def test_table_in_a_pipe_keeps_each_server_on_one_line() -> None:
    name = "a_name_that_is_much_longer_" * 5
    text = status_text(RUN, [state_of(name)], [True], is_terminal=False)
    assert text.splitlines()[-1].split() == [name, "agent", "http://127.0.0.1:40123", "1234567", "ready"]
    assert "\033" not in text


def test_address_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert "http://[::1]:40123" in status_text(RUN, [state_of("one", host="::1")], [True], is_terminal=True)


@pytest.mark.parametrize(
    ("state", "answers", "shown"),
    [("ready", True, "ready"), ("ready", False, "no answer"), ("unresponsive", False, "unresponsive")],
)
def test_status_tells_a_ready_server_that_does_not_answer(state: str, answers: bool, shown: str) -> None:
    text = status_text(RUN, [state_of("one", state)], [answers], is_terminal=False)
    assert text.splitlines()[-1].endswith(f" {shown}")


def test_status_tells_why_a_server_is_unresponsive_where_that_is_known() -> None:
    state = state_of("one", "unresponsive").model_copy(update={"reason": "its certificate expired"})
    assert status_text(RUN, [state], [False], is_terminal=False).splitlines()[-1] == "one: its certificate expired"
