"""Shuffle lines in bounded memory, the same way on every machine.

Every task gets a random key; sorted by key, tasks are shuffled. Lines go to temporary buckets by the first bits of
their key, each small enough to be sorted in memory, so the result doesn't depend on the number of buckets.
"""

import random
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

BUCKET_BYTES = 16 * 2**20
MAX_BUCKETS = 512
"""Open at once. Beyond `MAX_BUCKETS * BUCKET_BYTES` (8 GiB) buckets are larger than `BUCKET_BYTES`."""

_KEY_BITS = 53
_KEY_DIGITS = 14


def random_key(rng: random.Random) -> int:
    """Return the key of one task."""
    # `random()` is the one method whose numbers are promised to stay the same in later versions of Python.
    return int(rng.random() * 2**_KEY_BITS)


def write_shuffled(lines: Iterable[tuple[int, bytes]], out: IO[bytes], total_bytes: int, folder: Path) -> None:
    """Write lines sorted by their keys.

    Args:
        lines: Each with its `random_key`; the repeats of a task have the same one and stay together.
        out: Gets the lines.
        total_bytes: About how much there is, which decides how many buckets are made.
        folder: Where buckets are, which hold everything once more; they have no names there.
    """
    num_buckets = min(total_bytes // BUCKET_BYTES + 1, MAX_BUCKETS)
    with ExitStack() as stack:
        buckets = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(num_buckets)]
        for key, line in lines:
            buckets[key * num_buckets >> _KEY_BITS].write(b"%014x" % key + line)
        for bucket in buckets:
            bucket.seek(0)
            out.writelines(line[_KEY_DIGITS:] for line in sorted(bucket))
            bucket.truncate(0)
