"""The verdict: end states, ground truths that can't be used, and the adversarial rollouts with a careful person's."""

import json
import re
from typing import Any

import pytest

from resources_servers.workplace_assistant.tests.conftest import FOLDER, Session, called

DELETE = called("email_delete_email", email_id="00000481")
READ = called("email_get_email_information_by_id", email_id="00000481", field="body")
DONE = {"message": "Done."}


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / "data" / name).read_text().splitlines()]


def test_the_end_state_decides_and_reading_makes_no_difference(session: Session) -> None:
    assert session.reward([DELETE], READ, DELETE, READ, DONE) == 1.0
    assert session.reward([DELETE, READ], DELETE) == 1.0
    assert session.reward([DELETE], READ, DONE) == 0.0


def test_calls_of_the_rollout_decide_and_not_those_of_the_session(session: Session) -> None:
    session.call("email_delete_email", email_id="00000481")
    assert session.reward([DELETE], DONE) == 0.0


def test_the_verdict_says_what_differs(session: Session) -> None:
    verdict = session.verify([DELETE], [DONE]).json()
    differing = [name for name, part in verdict["reward_parts"].items() if part == 0.0]
    assert (verdict["reward"], differing) == (0.0, ["emails"])
    assert verdict["ground_truth"] == [DELETE]


@pytest.mark.parametrize(
    "ground_truth",
    [
        pytest.param(json.dumps([DELETE]), id="the-list-as-text"),
        pytest.param([{**DELETE, "arguments": {"email_id": "00000481"}}], id="arguments-as-an-object"),
        pytest.param([{**DELETE, "type": "function_call"}], id="with-more-fields"),
    ],
)
def test_a_ground_truth_may_be_written_in_other_ways(session: Session, ground_truth: Any) -> None:
    assert [session.reward(ground_truth, *calls) for calls in ([DELETE], [DONE])] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        pytest.param(called("email_delete_email", email_id="7"), "There is no email with the email_id '7'", id="row"),
        pytest.param(called("email_shred", email_id="7"), "there is no tool named 'email_shred'", id="tool"),
        pytest.param({**DELETE, "arguments": "{"}, "The arguments are not a JSON object", id="not-json"),
        pytest.param(called("email_delete_email", id="7"), "email_id: Field required", id="argument"),
    ],
)
def test_a_ground_truth_that_cannot_be_done_is_a_failure_before_a_model_is_asked(
    unseeded: Session, call: dict[str, str], said: str
) -> None:
    error = unseeded.seed([DELETE, call]).json()["error"]
    assert (error["kind"], error["terminal"]) == ("input_invalid", True)
    assert f"ground_truth[1], {call['name']}, can't be done: {said}" in error["reason"]
    assert "tables_path must be the tables that the task was made for" in error["reason"]


def test_a_ground_truth_that_cannot_be_read_is_a_failure(session: Session) -> None:
    assert session.verify("[{", [DONE]).status_code == 422


def test_the_ground_truth_of_each_example_solves_it_and_nothing_else_does(session: Session) -> None:
    rows = lines("example.jsonl")
    truths = [row["ground_truth"] for row in rows]
    rewards = [[session.reward(wanted, *played) for played in truths] for wanted in truths]
    assert rewards == [[float(row == column) for column in range(len(rows))] for row in range(len(rows))]


ADVERSARIAL = lines("adversarial.jsonl")


def test_a_cheat_is_never_rewarded(session: Session) -> None:
    cheats = [row for row in ADVERSARIAL if row.get("cheat")]
    assert f"None of the {len(cheats)} cheats" in (FOLDER / "README.md").read_text()
    assert [row["why"] for row in cheats if session.reward(row["ground_truth"], *row["rollout"]) > 0] == []


def test_the_share_of_careful_verdicts_is_the_one_that_the_readme_tells(session: Session) -> None:
    agreed = sum(session.reward(row["ground_truth"], *row["rollout"]) == row["reward"] for row in ADVERSARIAL)
    told = re.search(r"(\d+) of (\d+)\s+rollouts", (FOLDER / "README.md").read_text())
    assert told is not None
    assert told.groups() == (str(agreed), str(len(ADVERSARIAL)))
    assert len(ADVERSARIAL) >= 100
