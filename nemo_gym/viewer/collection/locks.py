"""Does a collector have this file open? Asked without taking the lock, which would keep a collector out."""

import time
from pathlib import Path

_LOCKS = Path("/proc/locks")
_RECENT_S = 30.0


def is_being_written(path: Path) -> bool:
    """Tell whether a collector holds the lock on a rollout file.

    Where the kernel lists no locks, a file that has grown within 30 s counts as being written.
    """
    try:
        status = path.stat()
    except OSError:
        return False
    try:
        # A second look where the first finds nothing: the kernel gives the list in pieces, and when others unlock
        # between two of them, a lock that is held all the time can be left out.
        return _lists(status.st_ino) or _lists(status.st_ino)
    except OSError:
        return time.time() - status.st_mtime < _RECENT_S


def _lists(inode: int) -> bool:
    return any(_names(line, inode) for line in _LOCKS.read_text().splitlines())


def _names(line: str, inode: int) -> bool:
    # "1: FLOCK  ADVISORY  WRITE 3706 00:2e:1234 0 EOF". The device may be another than stat says, on overlays.
    words = line.split()
    return len(words) > 5 and words[1] == "FLOCK" and words[3] == "WRITE" and words[5].endswith(f":{inode}")
