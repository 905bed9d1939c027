"""Data: every row is a task that the environment takes, once, without its answer in the prompt."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from nemo_gym.collections.tasks import PARAMS_KEY, read_tasks
from nemo_gym.environment_checks.report import CheckResult, Finding
from nemo_gym.environment_checks.subject import SOLUTION, Subject
from nemo_gym.environment_checks.task_texts import leaves_of, prompt_of
from nemo_gym.testing.in_process import InProcess
from nemo_gym.testing.words import response
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.json_object import JsonObject

CHECK = "data"
_MAX_ROWS = 10_000
_MAX_SENT = 200
_NAMES_THE_ANSWER = r"(?:answers?|solutions?|expected|correct|label|ground[ _]truth|reward)"


async def check_data(subject: Subject) -> CheckResult:
    """Read the rows of the task files, at most 10,000; the first 200 are also sent to the environment."""
    rows, findings = _read(subject)
    async with subject.start() as env:
        findings += await _refused(env, rows[:_MAX_SENT])
        findings += _tools(await env.tools(), rows)
    findings += [*_duplicates(rows), *_leaks(rows)]
    return CheckResult(CHECK, f"{len(rows)} rows", findings)


def _read(subject: Subject) -> tuple[list[JsonObject], list[Finding]]:
    if not subject.data:
        return list(subject.tasks), []
    rows: list[JsonObject] = []
    findings: list[Finding] = []
    for path in subject.data:
        for task in read_tasks(path, _MAX_ROWS - len(rows)):
            try:
                rows.append(task.row())
            except ValueError as error:
                findings.append(Finding("invalid_task", f"{path.name}: {error}"))
    return rows, findings


async def _refused(env: InProcess, rows: Sequence[JsonObject]) -> list[Finding]:
    findings = []
    for index, row in enumerate(rows):
        try:
            await env.verify(response("Hello."), row)
        except RolloutError as error:
            if error.failure.kind == "input_invalid":
                findings.append(
                    Finding("invalid_task", f"the environment refuses it: {error.failure.reason}", (index,))
                )
    return findings


def _tools(offered: Sequence[JsonObject], rows: Sequence[JsonObject]) -> Iterator[Finding]:
    known = {tool["name"]: tool for tool in offered}
    for index, row in enumerate(rows):
        for declared in row[PARAMS_KEY].get("tools") or []:
            name = declared.get("name")
            if name not in known:
                what = f"it declares a tool {name!r}; the environment offers: {', '.join(known) or 'none'}"
                yield Finding("undeclared_tool", what, (index,))
            elif _properties(declared) != _properties(known[name]):
                what = f"it declares {name} with {_properties(declared)}, and offered is {_properties(known[name])}"
                yield Finding("undeclared_tool", what, (index,))


def _properties(tool: Mapping[str, Any]) -> dict[str, Any]:
    properties = (tool.get("parameters") or {}).get("properties", {})
    return {name: schema.get("type", "any") for name, schema in properties.items()}


def _duplicates(rows: Sequence[JsonObject]) -> Iterator[Finding]:
    first: dict[bytes, int] = {}
    for index, row in enumerate(rows):
        key = orjson.dumps({k: v for k, v in row.items() if k != "agent_ref"}, option=orjson.OPT_SORT_KEYS)
        if key in first:
            yield Finding("duplicate_task", f"it is the same as task {first[key]}", (index,))
        first.setdefault(key, index)


def _leaks(rows: Sequence[JsonObject]) -> Iterator[Finding]:
    for index, row in enumerate(rows):
        prompt = prompt_of(row)
        leaked = next(iter(_named_answers(prompt, [*leaves_of(row), *_final_words(row)])), None)
        if leaked is not None:
            yield Finding("leaking_answer", f"the prompt says the answer: {leaked!r}", (index,))


def _named_answers(prompt: str, values: Iterable[str]) -> Iterator[str]:
    """Yield where the prompt calls one of the values the answer, such as "(the answer is 42)"."""
    for value in dict.fromkeys(values):
        pattern = rf"{_NAMES_THE_ANSWER}\W{{0,3}}(?:is|are|was|be)?\W{{0,5}}{re.escape(value)}(?!\w)"
        found = re.search(pattern, prompt, re.IGNORECASE)
        if found is not None:
            yield found[0]


def _final_words(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the message with which the row's own solution ends."""
    given = row.get(SOLUTION)
    last = given[-1] if isinstance(given, list) and given else given
    text = last.get("message") if isinstance(last, dict) else last
    if isinstance(text, str) and text:
        yield text
