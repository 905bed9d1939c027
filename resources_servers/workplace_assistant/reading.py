"""The tables that every session starts with, read from CSV files."""

import csv
from collections.abc import Sequence
from functools import cache
from io import StringIO
from pathlib import Path

from nemo_gym.config.errors import ConfigError, Mistake
from resources_servers.workplace_assistant.tables import Row, Table, Workplace

SHIPPED = Path(__file__).parent / "data/tables"

DIRECTORY_FILE = "email_addresses.csv"
VISITS_FILE = "analytics_data.csv"
COLUMNS = {
    "emails.csv": ("email_id", "inbox/outbox", "sender/recipient", "subject", "sent_datetime", "body"),
    "calendar_events.csv": ("event_id", "event_name", "participant_email", "event_start", "duration"),
    VISITS_FILE: (
        "date_of_visit",
        "visitor_id",
        "page_views",
        "session_duration_seconds",
        "traffic_source",
        "user_engaged",
    ),
    "project_tasks.csv": ("task_id", "task_name", "assigned_to_email", "list_name", "due_date", "board"),
    "customer_relationship_manager_data.csv": (
        "customer_id",
        "assigned_to_email",
        "customer_name",
        "customer_email",
        "customer_phone",
        "last_contact_date",
        "product_interest",
        "status",
        "follow_up_by",
        "notes",
    ),
}
"""By file name, in order. These are the names and columns of the WorkBench benchmark's files."""

_DAYS = ("last_contact_date", "follow_up_by")
_DAY_LENGTH = len("YYYY-MM-DD")


@cache
def read_workplace(folder: Path) -> Workplace:
    """Return the workplace of a folder of CSV files, to be copied for each session.

    Raises:
        ConfigError: A file is missing, or isn't such a table.
    """
    return Workplace(
        emails=_table("email", folder / "emails.csv"),
        events=_table("event", folder / "calendar_events.csv"),
        tasks=_table("task", folder / "project_tasks.csv"),
        customers=_table("customer", folder / "customer_relationship_manager_data.csv"),
        visits=_rows(folder / VISITS_FILE),
        directory=tuple(_text(folder / DIRECTORY_FILE).split()),
    )


def _table(noun: str, path: Path) -> Table:
    columns, rows = COLUMNS[path.name], _rows(path)
    wrong = next((row[columns[0]] for row in rows if not row[columns[0]].isdecimal()), None)
    if wrong is not None:
        raise _mistake(f"the {columns[0]} {wrong!r} is not a number", path)
    in_order = sorted(rows, key=lambda row: int(row[columns[0]]))
    return Table(noun, columns, {row[columns[0]]: row for row in in_order})


def _rows(path: Path) -> Sequence[Row]:
    reader = csv.DictReader(StringIO(_text(path), newline=""))
    expected = COLUMNS[path.name]
    if tuple(reader.fieldnames or ()) != expected:
        raise _mistake(f"the columns are not {', '.join(expected)}", path)
    rows = [{column: cell or "" for column, cell in row.items()} for row in reader]
    for row in rows:
        # One edition of the published table has a time of day behind these days, which its tasks don't have.
        row.update({column: row[column][:_DAY_LENGTH] for column in _DAYS if column in row})
    return tuple(rows)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _mistake(f"can't be read: {error}", path) from error


def _mistake(what: str, path: Path) -> ConfigError:
    fix = f"name a folder with {', '.join([*COLUMNS, DIRECTORY_FILE])}, or leave tables_path out for the shipped tables"
    return ConfigError(Mistake(f"{path}: {what}", where="tables_path", fix=fix))
