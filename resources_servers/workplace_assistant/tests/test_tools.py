"""What each tool answers, and what it leaves behind."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from resources_servers.workplace_assistant.app import CHANGES
from resources_servers.workplace_assistant.tests.conftest import Session

EVENT = {"event_name": "Lunch", "participant_email": "A.B@c.example", "event_start": "2023-12-04 12:00", "duration": 45}
TASK = {"task_name": "Rest", "list_name": "Backlog", "due_date": "2023-12-15", "board": "Design"}
TEAM_MEMBER = "priya.menon@harbor.example"


def test_the_tools_are_the_27_in_the_order_of_their_domains(client: TestClient) -> None:
    tools = [tool["name"] for tool in client.get("/tools").json()]
    domains = dict.fromkeys(name.split("_")[0] for name in tools)
    assert len(tools) == 27
    assert list(domains) == ["company", "email", "calendar", "analytics", "project", "customer"]


def test_the_tools_that_change_something_are_known_by_their_names(client: TestClient) -> None:
    names = [tool["name"] for tool in client.get("/tools").json()]
    assert [name for name in names if CHANGES.search(name)] == [
        "email_send_email",
        "email_delete_email",
        "email_forward_email",
        "email_reply_email",
        "calendar_create_event",
        "calendar_delete_event",
        "calendar_update_event",
        "analytics_create_plot",
        "project_management_create_task",
        "project_management_delete_task",
        "project_management_update_task",
        "customer_relationship_manager_update_customer",
        "customer_relationship_manager_add_customer",
        "customer_relationship_manager_delete_customer",
    ]


def test_the_directory_finds_an_address_by_a_part_in_any_case(session: Session) -> None:
    assert session.call("company_directory_find_email_address", name="AISHA") == ["aisha.bello@harbor.example"]


def read_email(session: Session, email_id: str, *fields: str) -> list[str]:
    return [session.call("email_get_email_information_by_id", email_id=email_id, field=f)[f] for f in fields]


def test_emails_are_found_by_all_words_of_a_query_newest_first_a_page_at_a_time(session: Session) -> None:
    found = session.call("email_search_emails", query="HUGO survey", date_max="2023-11-16")
    assert found["emails"][0]["email_id"] == "00000430"
    times = [email["sent_datetime"] for email in session.call("email_search_emails", page_size=50)["emails"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == 50


def test_a_page_past_the_last_is_the_last_one(session: Session) -> None:
    assert session.call("email_search_emails", page=10_000, page_size=100)["pagination"] == {
        "total_emails": 500,
        "page": 5,
        "page_size": 100,
        "total_pages": 5,
    }


def test_a_query_is_text_and_not_a_pattern(session: Session) -> None:
    assert session.call("email_search_emails", query="(.*") == "No emails found."


def test_an_email_sent_is_in_the_outbox_with_the_next_number_as_its_id(session: Session) -> None:
    session.call("email_send_email", recipient="A@B.example", subject="Hi", body="Hello")
    assert read_email(session, "500", "sender/recipient", "inbox/outbox", "sent_datetime") == [
        "a@b.example",
        "outbox",
        "2023-11-30 23:59:00",
    ]


def test_a_reply_goes_back_and_a_forwarded_email_keeps_its_text(session: Session) -> None:
    sender, subject, body = read_email(session, "00000481", "sender/recipient", "subject", "body")
    session.call("email_reply_email", email_id="00000481", body="Thanks")
    session.call("email_forward_email", email_id="00000481", recipient="x@y.example")
    assert read_email(session, "500", "sender/recipient", "subject", "body") == [sender, f"RE: {subject}", "Thanks"]
    assert read_email(session, "501", "sender/recipient", "subject", "body") == ["x@y.example", f"FW: {subject}", body]


def test_an_event_is_created_found_changed_and_deleted(session: Session) -> None:
    assert session.call("calendar_create_event", **EVENT) == "00000300"
    session.call("calendar_update_event", event_id="00000300", field="duration", new_value=" 060 ")
    (found,) = session.call("calendar_search_events", query="a.b@C", time_min="2023-12-04")["events"]
    assert found == {
        "event_id": "00000300",
        "event_name": "Lunch",
        "participant_email": "a.b@c.example",
        "event_start": "2023-12-04 12:00:00",
        "duration": "60",
    }
    session.call("calendar_delete_event", event_id="00000300")
    assert session.call("calendar_search_events", query="a.b@c") == "No events found."


def test_visits_are_counted_by_day(session: Session) -> None:
    day = {"time_min": "2023-10-22", "time_max": "2023-10-22"}
    visits = session.call("analytics_total_visits_count", **day)["2023-10-22"]
    sources = ("direct", "referral", "search engine", "social media")
    by_source = [session.call("analytics_traffic_source_count", traffic_source=s, **day) for s in sources]
    engaged = session.call("analytics_engaged_users_count", **day)["2023-10-22"]
    assert sum(count["2023-10-22"] for count in by_source) == visits > engaged >= 0
    assert session.call("analytics_get_average_session_duration", **day)["2023-10-22"] > 0
    assert len(session.call("analytics_total_visits_count")) > 60


def test_a_visitor_is_read_with_a_boolean(session: Session) -> None:
    (visit,) = session.call("analytics_get_visitor_information_by_id", visitor_id="1437")
    assert (visit["date_of_visit"], visit["user_engaged"]) == ("2023-09-01", True)


def test_a_plot_is_known_by_its_path(session: Session) -> None:
    times = {"time_min": "2023-10-22", "time_max": "2023-10-23"}
    path = session.call("analytics_create_plot", value_to_plot="total_visits", plot_type="bar", **times)
    assert path == "plots/2023-10-22_2023-10-23_total_visits_bar.png"


def test_a_task_is_created_found_changed_and_deleted(session: Session) -> None:
    assert session.call("project_management_create_task", assigned_to_email=TEAM_MEMBER.upper(), **TASK) == "00000300"
    session.call("project_management_update_task", task_id="00000300", field="list_name", new_value="In Review")
    wanted = {"assigned_to_email": TEAM_MEMBER.title(), "board": "design", "list_name": "review", "task_name": "rest"}
    (found,) = session.call("project_management_search_tasks", **wanted)
    assert found == {**TASK, "task_id": "00000300", "assigned_to_email": TEAM_MEMBER, "list_name": "In Review"}
    session.call("project_management_delete_task", task_id="00000300")
    assert session.call("project_management_search_tasks", **wanted) == []


def test_a_customer_is_added_found_changed_and_deleted(session: Session) -> None:
    new = {"customer_name": "Selma Lind", "assigned_to_email": "X@Y.example", "status": "Lead", "customer_phone": None}
    assert session.call("customer_relationship_manager_add_customer", **new) == "00000200"
    change = {"customer_id": "00000200", "field": "follow_up_by", "new_value": "2023-12-24"}
    session.call("customer_relationship_manager_update_customer", **change)
    search = "customer_relationship_manager_search_customers"
    (found,) = session.call(search, customer_name="selma", follow_up_by_min="2023-12-24")["customers"]
    assert (found["assigned_to_email"], found["customer_phone"], found["notes"]) == ("x@y.example", "", "")
    session.call("customer_relationship_manager_delete_customer", customer_id="00000200")
    assert session.call(search, customer_name="selma") == "No customers found."


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("email_send_email", {"recipient": "Bob", "subject": "s", "body": "b"}, "'Bob' is not an email address"),
        ("email_send_email", {"recipient": "a@b.example", "subject": "s", "body": " "}, "body: Value error, must not"),
        ("email_delete_email", {"email_id": "9"}, "There is no email with the email_id '9'"),
        ("email_delete_email", {"email_id": "00000001", "why": "old"}, "why: Extra inputs are not permitted"),
        (
            "email_get_email_information_by_id",
            {"email_id": "00000001", "field": "to"},
            "the fields are: email_id, inbox",
        ),
        ("email_search_emails", {"date_min": "yesterday"}, "date_min: Input should be a valid date"),
        ("calendar_create_event", {**EVENT, "event_start": "noon"}, "'noon' is not a time; write YYYY-MM-DD HH:MM:SS"),
        ("calendar_create_event", {**EVENT, "duration": -5}, "a whole number of minutes above 0, not '-5'"),
        ("calendar_create_event", {**EVENT, "duration": "1.5"}, "a whole number of minutes above 0, not '1.5'"),
        ("analytics_get_visitor_information_by_id", {"visitor_id": "0"}, "There is no visitor"),
        ("project_management_search_tasks", {}, "Give at least one thing to search for"),
        ("project_management_search_tasks", {"assigned_to_email": "priya"}, "'priya' is not an email address"),
        ("project_management_create_task", {**TASK, "assigned_to_email": "a@b.example"}, "is not on the team"),
        ("customer_relationship_manager_search_customers", {"page": 2}, "Give at least one thing to search for"),
    ],
)
def test_what_is_refused_is_refused_in_words(session: Session, name: str, arguments: dict[str, Any], said: str) -> None:
    assert said in session.call(name, **arguments)


@pytest.mark.parametrize(
    ("name", "key", "field", "value", "said"),
    [
        ("project_management_update_task", "task_id", "board", "Roof", "board must be one of: Back end, Front end"),
        ("project_management_update_task", "task_id", "list_name", "Done", "list_name must be one of: Backlog"),
        ("project_management_update_task", "task_id", "assigned_to_email", "a@b.example", "is not on the team"),
        ("project_management_update_task", "task_id", "task_id", "1", "the fields are: task_name, assigned"),
        (
            "customer_relationship_manager_update_customer",
            "customer_id",
            "status",
            "won",
            "status must be one of: Q",
        ),
        (
            "customer_relationship_manager_update_customer",
            "customer_id",
            "product_interest",
            "Tea",
            "must be one of: S",
        ),
        ("calendar_update_event", "event_id", "event_start", "noon", "'noon' is not a time"),
        ("calendar_update_event", "event_id", "colour", "red", "field: Input should be 'event_name'"),
    ],
)
def test_an_update_that_is_not_allowed_is_refused_in_words(
    session: Session, name: str, key: str, field: str, value: str, said: str
) -> None:
    assert said in session.call(name, **{key: "00000001", "field": field, "new_value": value})


def test_a_session_does_not_see_what_another_changed(session: Session, other: Session) -> None:
    session.call("email_delete_email", email_id="00000000")
    session.call("email_send_email", recipient="a@b.example", subject="s", body="b")
    assert read_email(other, "00000000", "email_id") == ["00000000"]
    assert "There is no email" in other.call("email_get_email_information_by_id", email_id="500", field="body")
