"""Server-sent events: a page is told that its collection has changed, and asks for what it shows."""

import asyncio
from collections.abc import AsyncIterator

import orjson

from nemo_gym.viewer.library import Library, UnknownCollectionError

_LOOK_S = 0.5
_KEEP_ALIVE_S = 10.0


async def events_of(library: Library, name: str, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield an event at once and after each change, and a comment every 10 s, until `stopping`."""
    known, silent_s = -1, 0.0
    while not stopping.is_set():
        library.note_interest(name)
        try:
            follower = library.opened(name)
        except UnknownCollectionError:
            return
        if follower.version != known:
            known, silent_s = follower.version, 0.0
            state = {
                "version": known,
                "settled": follower.table.num_settled,
                "progress": follower.progress,
                "running": follower.look.is_running,
            }
            yield b"data: " + orjson.dumps(state) + b"\n\n"
        elif silent_s >= _KEEP_ALIVE_S:
            silent_s = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(_LOOK_S)
        silent_s += _LOOK_S
