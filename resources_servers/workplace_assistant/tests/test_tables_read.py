"""The tables that sessions start with: the shipped ones, and others."""

import shutil
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.config.errors import ConfigError
from nemo_gym.server_utils import ServerClient
from resources_servers.workplace_assistant.app import WorkplaceAssistantConfig, WorkplaceAssistantServer
from resources_servers.workplace_assistant.make_tables import write_tables
from resources_servers.workplace_assistant.reading import SHIPPED
from resources_servers.workplace_assistant.tests.conftest import Session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped tables."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "tables"))


def served(folder: Path) -> Session:
    settings: dict[str, Any] = {"host": "", "port": 0, "entrypoint": "app.py", "name": "w", "tables_path": folder}
    config = WorkplaceAssistantConfig(**settings)
    server = WorkplaceAssistantServer(config=config, server_client=MagicMock(spec=ServerClient))
    session = Session(TestClient(server.setup_webserver()))
    session.seed()
    return session


def test_the_shipped_tables_are_those_that_the_script_makes(tmp_path: Path) -> None:
    write_tables(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in SHIPPED.iterdir()}


def test_a_session_starts_with_the_configured_tables(folder: Path) -> None:
    (folder / "email_addresses.csv").write_text("zoe@other.example\n")
    assert served(folder).call("company_directory_find_email_address", name="zoe") == ["zoe@other.example"]


def test_a_time_of_day_behind_a_day_is_left_out(folder: Path) -> None:
    path = folder / "customer_relationship_manager_data.csv"
    path.write_text(path.read_text().replace("2023-12-18", "2023-12-18 23:59:00"))
    search = "customer_relationship_manager_search_customers"
    (found,) = served(folder).call(search, customer_name="Nils Grimaldi")["customers"]
    assert found["follow_up_by"] == "2023-12-18"


def test_the_next_id_follows_the_highest_wherever_it_stands(folder: Path) -> None:
    header, *rows = (folder / "calendar_events.csv").read_text().splitlines()
    (folder / "calendar_events.csv").write_text("\n".join([header, *reversed(rows)]))
    event = {"event_name": "x", "participant_email": "y", "event_start": "2023-12-04", "duration": "5"}
    assert served(folder).call("calendar_create_event", **event) == "00000300"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("emails.csv", None, "emails.csv: can't be read", id="missing"),
        pytest.param("emails.csv", b"\xff\xfe", "emails.csv: can't be read", id="binary"),
        pytest.param("project_tasks.csv", b"task_id,name\n", "the columns are not task_id, task_name", id="columns"),
        pytest.param(
            "calendar_events.csv",
            b"event_id,event_name,participant_email,event_start,duration\nx,,,,\n",
            "the event_id 'x' is not a number",
            id="id",
        ),
    ],
)
def test_tables_that_cannot_be_used_end_the_start(folder: Path, name: str, content: bytes | None, said: str) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        served(folder)
    assert said in str(raised.value)
    assert "where: tables_path" in str(raised.value)
