"""Multiple choice: the modes of grading, a task's own expression, and answers that try to get more."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import orjson
import pytest
from fastapi.testclient import TestClient

from nemo_gym.server_utils import ServerClient
from resources_servers.mcqa.app import MCQAResourcesServer, MCQAResourcesServerConfig

FOLDER = Path(__file__).parent.parent
OPTIONS = [{"A": "optA"}, {"B": "optB"}, {"C": "optC"}, {"D": "optD"}]
Grade = Callable[..., dict[str, Any]]


def rows_of(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (FOLDER / "data" / name).read_bytes().splitlines()]


def client_of(**settings: Any) -> TestClient:
    config = MCQAResourcesServerConfig(host="", port=0, entrypoint="", name="mcqa", **settings)
    return TestClient(MCQAResourcesServer(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver())


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}


def graded(client: TestClient, *texts: str, **task: Any) -> dict[str, Any]:
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": [message(t) for t in texts]}
    task = {"options": OPTIONS, "expected_answer": "C", **task}
    answer = client.post("/verify", json={"responses_create_params": {"input": "?"}, "response": response, **task})
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with client_of() as running:
        yield running


@pytest.mark.parametrize(
    ("text", "mode", "extracted"),
    [
        ("C", "strict_single_letter_boxed", None),
        (r"\boxed{ [C] }", "strict_single_letter_boxed", "C"),
        (r"\boxed{\text{C}}", "strict_single_letter_boxed", None),
        (r"\boxed{E}", "strict_single_letter_boxed", None),
        (r"\boxed{ optC }", "lenient_boxed", "C"),
        (r"\boxed{B}", "lenient_boxed", "B"),
        ("Answer: c", "lenient_answer_colon", "C"),
        ("Answer: optC", "lenient_answer_colon", "C"),
    ],
)
def test_the_grading_mode_says_what_names_an_option(client: TestClient, text: str, mode: str, extracted: str) -> None:
    row = graded(client, text, grading_mode=mode)
    assert (row["extracted_answer"], row["reward"]) == (extracted, float(extracted == "C"))


@pytest.mark.parametrize(
    ("text", "regex", "extracted"),
    [
        ("Option Selected: B", r"Option Selected:\s*([A-D])", "B"),
        ("option selected: b", r"Option Selected:\s*([A-D])", "B"),
        ("Maybe Answer: A? No. Answer: B", r"Answer:\s*([A-D])", "B"),
        (r"Answer: B \boxed{A}", r"Answer:\s*([A-D])", "B"),
        (r"\boxed{B}", "([", "B"),
        ("Answer: Z", r"Answer:\s*([A-Z])", "Z"),
        ("Pick  OPTB", r"pick\s+(.*)", "B"),
        ("B!", r"(x)?(B)!", "B"),
        (r"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! \boxed{B}", r"(a+)+$", "B"),
    ],
)
def test_a_tasks_own_expression_goes_first(client: TestClient, text: str, regex: str, extracted: str) -> None:
    row = graded(client, text, expected_answer="b ", template_metadata={"template_id": "t", "output_regex": regex})
    assert (row["extracted_answer"], row["expected_answer"]) == (extracted, "B")
    assert row["reward"] == float(extracted == "B")


def test_with_an_expression_a_task_needs_no_options(client: TestClient) -> None:
    row = graded(
        client, "Answer: B", options=[], expected_answer="B", template_metadata={"output_regex": "Answer: (.)"}
    )
    assert row["reward"] == 1.0


def test_options_may_share_an_object_where_null_is_none(client: TestClient) -> None:
    options = [{"A": "one", "B": None}, {"B": "two", "A": None, "C": None}]
    assert graded(client, r"\boxed{B}", options=options, expected_answer="B")["reward"] == 1.0
    assert graded(client, r"\boxed{C}", options=options, expected_answer="C")["reward"] == 0.0


def test_the_text_of_all_messages_counts_and_thoughts_do_not(client: TestClient) -> None:
    assert graded(client, r"\boxed{C}", "Done.")["reward"] == 1.0
    assert graded(client, r"<think>\boxed{C}</think>Done.")["reward"] == 0.0


@pytest.mark.parametrize(("on_conflict", "extracted"), [("refuse", None), ("first", "C")])
def test_a_setting_says_what_an_answer_with_several_options_means(on_conflict: str, extracted: str | None) -> None:
    row = graded(client_of(on_conflict=on_conflict), r"\boxed{C} \boxed{B}")
    assert row["extracted_answer"] == extracted


def test_a_task_without_an_expected_answer_is_never_solved(client: TestClient) -> None:
    for text in ("", r"\boxed{}", r"\boxed{A}"):
        assert graded(client, text, expected_answer=" ")["reward"] == 0.0


def test_columns_of_a_published_row_pass_through(client: TestClient) -> None:
    row = graded(client, r"\boxed{C}", uuid="u-1", metadata={"a": [1]}, hash_id="h", reward_profiles=None)
    assert (row["uuid"], row["metadata"], row["hash_id"]) == ("u-1", {"a": [1]}, "h")


def test_the_example_tasks_have_the_right_option_among_theirs() -> None:
    rows = rows_of("example.jsonl")
    assert len(rows) == 5
    for row in rows:
        assert row["expected_answer"] in {letter for option in row["options"] for letter in option}


def test_adversarial_answers_get_what_a_careful_person_gives_as_often_as_the_readme_says(client: TestClient) -> None:
    rows = rows_of("adversarial.jsonl")
    agreed, cheated = Counter[str](), []
    for row in rows:
        task = {key: row[key] for key in ("options", "expected_answer", "grading_mode")}
        reward = graded(client, row["answer"], **task, template_metadata=row.get("template_metadata"))["reward"]
        agreed[row["kind"]] += reward == row["careful_reward"]
        if row["kind"] == "cheat" and reward:
            cheated.append(row["note"])
    found = re.search(r"(\d+) of (\d+) adversarial answers", (FOLDER / "README.md").read_text())
    assert cheated == []
    assert len(rows) >= 100
    assert found is not None
    assert (sum(agreed.values()), len(rows)) == (int(found[1]), int(found[2])), agreed
