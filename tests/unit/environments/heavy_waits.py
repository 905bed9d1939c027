"""Waits for what processes of heavy work do."""

import asyncio
from pathlib import Path

import psutil

from tests.bounds import HANGS_AFTER_S


async def started(note: Path) -> int:
    """The process that is at `sleep`, once it is."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while not note.is_file() or not note.read_text():
            await asyncio.sleep(0.01)
    return int(note.read_text())


async def gone(pid: int) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while psutil.pid_exists(pid):
            await asyncio.sleep(0.01)
