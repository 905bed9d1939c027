"""What should be beside the examples of an environment that is shared."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from nemo_gym.collections.line_file import iter_lines
from nemo_gym.collections.tasks import EXAMPLES_WANTED
from nemo_gym.config.errors import Mistake
from nemo_gym.data.prepare.collation import Collation


def example_shortcomings(sets: Sequence[Collation]) -> Iterator[Mistake]:
    """Yield what prepared example datasets lack: five rows, and rollouts in `<stem>_rollouts.jsonl`."""
    for part in (part for collation in sets for part, _ in collation.parts if part.dataset.config.type == "example"):
        path = part.dataset.path
        if part.num_rows < EXAMPLES_WANTED:
            yield Mistake(f"{part.num_rows} example tasks, {EXAMPLES_WANTED} are wanted", where=str(path))
        rollouts = path.with_name(f"{path.stem}_rollouts.jsonl")
        verified = _num_verified(rollouts)
        if verified < min(part.num_rows, EXAMPLES_WANTED):
            what = f"{verified} rollouts with a reward beside {part.num_rows} example tasks"
            fix = f"run ng_collect_rollouts +agent_name={part.dataset.agent} +input_jsonl_fpath={path}"
            yield Mistake(what, where=str(rollouts), fix=f"{fix} +output_jsonl_fpath={rollouts}")


def _num_verified(path: Path) -> int:
    count = 0
    for line in iter_lines(path):
        try:
            row = orjson.loads(line.text)
        except orjson.JSONDecodeError:
            continue
        count += isinstance(row, dict) and isinstance(row.get("reward"), int | float)
    return count
