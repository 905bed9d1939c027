"""A rollout masked for its token data, as the summary shows it: ids, and their text where a server knows it."""

import asyncio
import contextlib

import orjson

from nemo_gym.collections.token_data.mismatch import PrefixMismatch
from nemo_gym.config.keys import MODELS_KIND
from nemo_gym.rollouts.preflight import referenced_servers
from nemo_gym.rollouts.token_data.masking import KIND, MaskedExample
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.transport import Deadline
from nemo_gym.wire.failure import RolloutError

_BOUND_S = 5.0
_MAX_TEXT_CHARS = 200


async def example_lines(client: ServerClient, example: MaskedExample, bound_s: float = _BOUND_S) -> list[str]:
    """Return the lines that show an example.

    Args:
        client: A client of the run, whose model servers are asked to decode ids.
        example: What to show.
        bound_s: Longest wait for them, in seconds; afterwards the ids are shown alone.
    """
    place = f"{KIND}, the first one masked, task {example.task_index}, repeat {example.rollout_index}"
    mismatch = example.violation.mismatch
    if mismatch is None:
        return [f"{place}: {example.violation.reason}"]
    texts = None if example.agent_name is None else await _texts(client, example.agent_name, mismatch, bound_s)
    lines = [f"{place}: {mismatch.headline}"]
    for call, ids, text in (
        (mismatch.earlier_call, mismatch.earlier, texts and texts[1]),
        (mismatch.call, mismatch.later, texts and texts[2]),
    ):
        lines.append(f"  call {call}, ids from position {mismatch.window_start} on: {mismatch.window(ids)}")
        if texts is not None:
            lines.append(f"  call {call}, decoded: {_shown(texts[0])} then {_shown(text or '')}")
    return lines


async def _texts(client: ServerClient, agent_name: str, mismatch: PrefixMismatch, bound_s: float) -> list[str] | None:
    """Return the texts of the shared ids, of the earlier call's and of the later one's, from the first server that can.

    An agent's settings name its model servers; of the policy's and a judge's, the policy's usually comes first.
    """
    sides = (mismatch.shared, mismatch.earlier, mismatch.later)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(bound_s):
            for server in referenced_servers(client, agent_name, MODELS_KIND):
                texts = [await _decoded(client, server, ids, bound_s) for ids in sides]
                known = [text for text in texts if text is not None]
                if len(known) == len(sides):
                    return known
    return None


async def _decoded(client: ServerClient, server: str, ids: tuple[int, ...], bound_s: float) -> str | None:
    if not ids:
        return ""
    try:
        deadline = Deadline(bound_s, "the bound of decoding an example")
        answer = await client.post(server, "/detokenize", json={"tokens": list(ids)}, deadline=deadline)
        text = orjson.loads(answer.body).get("prompt") if answer.ok else None
    except (RolloutError, ValueError, AttributeError):  # no such route, or another answer: the ids have to do
        return None
    return text if isinstance(text, str) else None


def _shown(text: str) -> str:
    # As JSON: line ends and control characters stay on the line.
    return orjson.dumps(text[:_MAX_TEXT_CHARS]).decode()
