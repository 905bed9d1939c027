"""The one writer of a collection: rollouts, failures, journal and what is sent; all only appended to."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_gym.collections.files import OutputPaths
from nemo_gym.collections.line_file import LineFile, OutputBusyError, OutputError, encode_line
from nemo_gym.collections.outcomes import Attempt, Failed, Outcome
from nemo_gym.collections.reading.paged_array import ByRollout, Key
from nemo_gym.config.errors import ConfigError, Mistake


class Output:
    """The open files of one collection; one collector at a time.

    Opening locks the files and creates those that are missing; what they hold is not touched before
    `drop_truncated_lines`, `move_aside`, or the first record.

    Raises:
        ConfigError: Another collector writes them, or they can't be opened.
    """

    def __init__(self, paths: OutputPaths) -> None:
        self.paths = paths
        self.is_closed = False
        self.sent = ByRollout("B")
        """Rollouts whose materialized input has been written."""
        with contextlib.ExitStack() as opened:
            try:
                # The rollout file first, and last to be closed: who holds its lock holds them all.
                self._rollouts = opened.enter_context(LineFile(paths.rollouts))
                self._failures = opened.enter_context(LineFile(paths.failures))
                self._journal = opened.enter_context(LineFile(paths.journal))
                self._unverified = opened.enter_context(LineFile(paths.unverified))
                self._inputs = opened.enter_context(LineFile(paths.materialized_inputs))
            except OutputBusyError as error:
                what, fix = f"another collector writes {error}", "wait for it, stop it, or name another output"
                raise ConfigError(Mistake(what, where="output_jsonl_fpath", fix=fix)) from error
            except OutputError as error:
                raise ConfigError(Mistake(str(error), where="output_jsonl_fpath")) from error
            opened.pop_all()

    def drop_truncated_lines(self) -> list[Path]:
        """Cut off last lines that aren't whole (kill -9, power); return the files where there was one."""
        return [file.path for file in self._files() if file.drop_truncated_line()]

    def dispatched(self, attempt: Attempt) -> None:
        """Note that an attempt begins."""
        self._journal.append({"event": "dispatched", **attempt.place, "attempt": attempt.number, "at": time.time()})

    def attempt_failed(self, failed: Failed) -> None:
        """Note an attempt that will be followed by another."""
        self._journal.append({"event": "failed", **failed.record.as_row()})

    def materialize(self, attempt: Attempt, row: dict[str, Any]) -> None:
        """Write a task row as it is sent, the first time that its rollout is dispatched."""
        if attempt.key not in self.sent:
            self.append_input(attempt.key, encode_line(attempt.materialized(row)))

    def append_input(self, key: Key, line: bytes) -> None:
        """Write the line of a task row as it is sent, unless that of its rollout is there."""
        if key not in self.sent:
            self._inputs.append_line(line)
            self.sent[key] = 1

    def unverified(self, attempt: Attempt, verify_request: dict[str, Any]) -> None:
        """Keep what an attempt generated and nobody could verify, so that a resume need not generate it again."""
        line = attempt.unverified_line(verify_request)
        if line is not None:
            self.append_unverified(line)

    def append_unverified(self, line: bytes) -> None:
        """Write the line of what an attempt generated and nobody could verify."""
        self._unverified.append_line(line)

    def settle(self, outcome: Outcome) -> None:
        """Write an outcome to where it belongs."""
        if isinstance(outcome, Failed):
            self._failures.append(outcome.record.as_row())
        else:
            self._rollouts.append_line(outcome.line)

    def move_aside(self) -> list[Path]:
        """Rename the files of the collection that was here, while nobody else can write them; then close them."""
        try:
            return self.paths.move_aside()
        except OSError as error:
            raise OutputError(f"cannot move the old files aside: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Sync and close everything; files beside the rollouts that nothing was written to are removed again.

        Raises:
            OutputError: The disk did not take what was written.
        """
        self.is_closed = True
        with contextlib.ExitStack() as closing:
            for file in self._files():
                closing.callback(file.close)
                if file is not self._rollouts:
                    closing.callback(_remove_if_empty, file)
                closing.callback(file.sync)

    def _files(self) -> Iterator[LineFile]:
        yield from (self._rollouts, self._failures, self._journal, self._unverified, self._inputs)


def _remove_if_empty(file: LineFile) -> None:
    if file.is_empty:
        file.path.unlink(missing_ok=True)
