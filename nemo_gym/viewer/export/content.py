"""What an exported file holds: the server's answers for one collection, by the names that its page asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.viewer.library import Library
from nemo_gym.viewer.pages.compare import compare
from nemo_gym.viewer.rollout.page import RolloutPage
from nemo_gym.viewer.rollout.tokenizer import Tokenizer
from nemo_gym.viewer.serving.answers import Answers, Filter, NotFoundError

_MAX_RAW_BYTES = 400_000
_MAX_ITEMS = 2_000
_MAX_TASKS = 5_000
_MAX_GROUP_MEMBERS = 2_000


@dataclass(frozen=True)
class Exported:
    """What to export.

    Attributes:
        rollouts: The rollout file.
        query: A filter.
        limit: Most rollouts of the filter.
        baseline: Another rollout file of the same tasks, to compare with; None: no comparison.
        tokenizer: For the texts of tokens.
    """

    rollouts: Path
    query: str = ""
    limit: int = 200
    baseline: Path | None = None
    tokenizer: Tokenizer | None = None


def content_of(exported: Exported) -> dict[str, Any]:
    """Return the answers; raises QueryError and UnknownCollectionError."""
    name, library = exported.rollouts.name, Library(exported.rollouts)
    library.follower(name).catch_up()
    answers = Answers(library, exported.tokenizer)
    listed = answers.rollouts(name, Filter(exported.query), 0, exported.limit)
    keys = [rollout.key for rollout in listed.rollouts]
    pages = {key: _rollout(answers, name, key) for key in keys}
    with_tokens = [key for key in keys if pages[key].has_tokens]
    return {
        "overview": _plain(answers.overview(name)),
        "rollouts": _plain(listed),
        "rollout": {key: _plain(page) for key, page in pages.items()},
        "tokens": {key: [call.model_dump() for call in answers.tokens(name, key, None, 0)] for key in with_tokens},
        "raw": {key: _raw(answers, name, key) for key in keys},
        "tasks": _plain(answers.tasks(name, Filter(exported.query), 0, _MAX_TASKS)),
        "task": _tasks(answers, name, [rollout.task for rollout in listed.rollouts]),
        "notes": _plain(answers.notes(name)),
        **_comparison(library, name, exported.baseline),
    }


def _plain(answer: Any) -> Any:
    return answer.model_dump(mode="json")


def _rollout(answers: Answers, name: str, key: str) -> RolloutPage:
    page = answers.rollout(name, key)
    for offset in range(len(page.items), min(page.num_items, _MAX_ITEMS), len(page.items) or 1):
        page.items += answers.items(name, key, offset)
    page.num_items = len(page.items)
    return page


def _raw(answers: Answers, name: str, key: str) -> str:
    try:
        raw = answers.raw(name, key)
    except (OSError, NotFoundError) as error:
        return str(error)
    return raw.decode("utf-8", "replace") if len(raw) <= _MAX_RAW_BYTES else f"{len(raw):,} bytes: not in this file"


def _tasks(answers: Answers, name: str, tasks: list[int]) -> dict[int, Any]:
    """Return the pages of tasks, as long as their groups are at most 2,000 rollouts together."""
    pages: dict[int, Any] = {}
    members = 0
    for task in dict.fromkeys(tasks):
        try:
            page = answers.task(name, task)
        except NotFoundError:
            continue
        members += len(page.group)
        if members > _MAX_GROUP_MEMBERS:
            break
        pages[task] = _plain(page)
    for task, page in pages.items():
        beside = sorted(pages)
        place = beside.index(task)
        page["before"] = beside[place - 1] if place else None
        page["after"] = beside[place + 1] if place + 1 < len(beside) else None
    return pages


def _comparison(library: Library, name: str, baseline: Path | None) -> dict[str, Any]:
    if baseline is None:
        return {}
    other = Library(baseline).follower(baseline.name)
    other.catch_up()
    return {"compare": _plain(compare(other, library.follower(name)))}
