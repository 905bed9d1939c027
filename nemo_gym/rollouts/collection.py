"""A collection from its options to its report: check, resume, collect, measure."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf

from nemo_gym.collections.files import OutputPaths, write_json
from nemo_gym.collections.identity import TaskSet, read_task_set
from nemo_gym.collections.line_file import DamagedFileError, ReadingStopped, until_stopped
from nemo_gym.collections.manifest import Manifest, make_manifest
from nemo_gym.collections.outcomes import Outcome
from nemo_gym.collections.reading.repeated_rows import RepeatedRows
from nemo_gym.collections.server_code import ServerCode, read_server_code
from nemo_gym.collections.tasks import Task, find_task_file, read_tasks
from nemo_gym.collections.writing.opening import open_output
from nemo_gym.collections.writing.resume import ResumeState
from nemo_gym.collections.writing.writer import Output
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.rollouts.collector import DRAIN_S, Collector, CollectorLimits, work_left
from nemo_gym.rollouts.drivers.choice import open_runner
from nemo_gym.rollouts.drivers.process import StartDriver, start_process
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.rollouts.preflight import ROWS_READ, check_beforehand, find_mistakes
from nemo_gym.rollouts.progress import ProgressDisplay, say
from nemo_gym.rollouts.report import CollectionReport
from nemo_gym.rollouts.runner import RolloutRunner, Work
from nemo_gym.rollouts.slots import limit_note
from nemo_gym.rollouts.tally import Tally
from nemo_gym.rollouts.token_data.example import example_lines
from nemo_gym.rollouts.token_data.masking import TokenDataMasking
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import raise_descriptor_limit

T = TypeVar("T")


class Collection:
    """One collection. Construct it, `check()`, then `await run()`; `stop()` ends it early.

    `start_driver` starts each driver of a collection that has several.
    """

    def __init__(
        self, options: RolloutCollectionConfig, client: ServerClient, start_driver: StartDriver = start_process
    ) -> None:
        self.options = options
        self._start_driver = start_driver
        self.input_path = find_task_file(options.input_jsonl_fpath)
        self.client = client
        self.paths = OutputPaths(Path(options.output_jsonl_fpath))
        self.tally = Tally(options.pass_threshold)
        self._collector: Collector | None = None
        self._output: Output | None = None
        self.is_cut_off = False
        self._began_at = 0.0
        self._stop_reason: str | None = None
        self._stops_reading = threading.Event()
        self._notes: list[str] = []
        self._token_data = TokenDataMasking(options.check_token_ids)
        self._example: tuple[str, ...] = ()
        self._sent: frozenset[str] = frozenset()

    def check(self) -> None:
        """Raise ConfigError for everything that can be known before work begins; writes nothing."""
        check_beforehand(self.options, self.client, self.input_path, self.paths)

    async def run(self) -> CollectionReport:
        """Collect; returns the report, also of a collection that was stopped.

        Raises:
            ConfigError: The output belongs to another collection, or to another collector right now; or rollouts would
                fail for a reason that they all share.
            OutputError: The output could not be written.
        """
        raise_descriptor_limit()
        self._began_at = time.monotonic()
        await self._prepare()
        is_new = self.options.overwrite or not self.paths.rollouts.exists()
        if is_new:
            await self._preflight(islice(self._tasks(), ROWS_READ))
        try:
            return await self._run(is_new)
        except ReadingStopped:
            self._notes.append("stopped while files were being read: the counts cover what was read so far")
            return self._report()

    async def _run(self, is_new: bool) -> CollectionReport:
        options, manifest = self.options, await self._in_thread(self._make_manifest)
        self.tally.rows = RepeatedRows(manifest)
        with open_output(
            self.paths,
            manifest,
            self._notes,
            overwrite=options.overwrite,
            accept_changed_code=options.accept_changed_code,
        ) as output:
            self._output = output
            self._settled = settled = await self._settle_earlier()
            output.sent = settled.sent
            if not is_new:
                first = await self._in_thread(lambda: list(islice(self._work(settled), ROWS_READ)))
                await self._preflight(work.task for work in first if work.trajectory is None)
            work = await self._in_thread(lambda: _begun(self._work(settled)))
            self._say_limit()
            async with open_runner(
                self.client, output, options, self._token_data, self._sent, self._start_driver
            ) as runner:
                await self._collect(work, runner, output)
            if self._token_data.example is not None and self._stop_reason is None:
                self._example = tuple(await example_lines(self.client, self._token_data.example))
        return self.report()

    async def _collect(self, work: Iterator[Work], runner: RolloutRunner, output: Output) -> None:
        self._collector = collector = Collector(runner, output, self._limits(), self._on_outcome)
        if self._stop_reason is not None:
            collector.stop(self._stop_reason)
        with ProgressDisplay(lambda: self.tally.progress(collector)) as display:
            self._display = display
            showing = asyncio.ensure_future(display.keep_showing())
            try:
                await collector.run(work)
            finally:
                showing.cancel()

    def stop(self, reason: str, drain_s: float = DRAIN_S) -> None:
        """Start nothing more; what runs has so many seconds to finish."""
        self._stop_reason = reason
        self._stops_reading.set()
        if self._collector is not None:
            self._collector.stop(reason, drain_s)

    def cut_off(self) -> bool:
        """End at once, for a program that then ends too: what runs isn't settled, and isn't waited for either.

        Returns:
            False when nothing runs yet, so that there is nothing to end.
        """
        if self._collector is None or self._output is None:
            return False
        self.is_cut_off = True
        self._display.close()
        self._output.close()
        return True

    def report(self) -> CollectionReport:
        """Write the metrics and return the report of a collection that has ended."""
        for record in self._settled.earlier_failures():  # a stop came before they could be tried again
            self.tally.counts.add_failure(record)
        report = self._report()
        write_json(self.paths.metrics, {**report.metrics, "seconds": round(report.seconds, 3)})
        return report

    def _report(self) -> CollectionReport:
        counts, resumed = self.tally.counts, self.tally.resumed
        metrics, seconds = self.tally.metrics.as_dict(counts), time.monotonic() - self._began_at
        why = self._collector.stopped_because if self._collector is not None else self._stop_reason
        return CollectionReport(counts, metrics, self.paths, seconds, resumed, tuple(self._notes), why, self._example)

    async def _preflight(self, first: Iterable[Task]) -> None:
        """Raise ConfigError for what would make every rollout fail; `first` are some that have to be generated."""
        if self.options.preflight and self._stop_reason is None:
            mistakes = await find_mistakes(self.client, list(first), self.options.agent_name)
            if mistakes:
                raise ConfigError(*mistakes)

    def _say_limit(self) -> None:
        note = limit_note(self.options.num_samples_in_parallel, self.tally.counts.not_settled, self.options.num_drivers)
        if note is not None:
            say(note)

    async def _prepare(self) -> None:
        """Ask the servers what has to be known before the first rollout."""

    def _tasks(self) -> Iterator[Task]:
        return until_stopped(self._read_tasks(), self._reading_is_stopped)

    def _read_tasks(self) -> Iterator[Task]:
        return read_tasks(self.input_path, self.options.limit)

    def _reading_is_stopped(self) -> bool:
        """Tell whether to give up reading; once rollouts run, a stop is the collector's."""
        return self._collector is None and self._stops_reading.is_set()

    def _work(self, settled: ResumeState) -> Iterator[Work]:
        return work_left(self._tasks(), self.options.num_repeats, settled)

    def _make_manifest(self) -> Manifest:
        tasks = read_task_set(task.line for task in self._tasks())
        self.tally.counts.expected = tasks.count * self.options.num_repeats
        self.tally.metrics.sent = self._sent = self._sent_fields(tasks)
        server_config = cast(dict[str, Any], OmegaConf.to_container(self.client.global_config_dict))
        code = read_server_code(server_config, self.client.server_instances())
        self._tell_about(code)
        return make_manifest(
            tasks,
            num_repeats=self.options.num_repeats,
            agent_name=self.options.agent_name,
            params=self.options.responses_create_params,
            server_config=server_config,
            code=code.digests,
            input_path=self.input_path,
        )

    def _tell_about(self, code: ServerCode) -> None:
        for line in code.outdated:
            say(line)
        if code.unseen:
            unseen = ", ".join(code.unseen)
            self._notes.append(f"the code of {unseen} isn't on this machine: a resume can't notice that it changed")
        if code.guessed:
            guessed = ", ".join(code.guessed)
            self._notes.append(f"the head doesn't say which code {guessed} runs: the manifest has that of the folder")

    def _sent_fields(self, tasks: TaskSet) -> frozenset[str]:
        """Names of the fields that agents are sent: what comes back under another name, the verifier added."""
        return tasks.fields

    async def _settle_earlier(self) -> ResumeState:
        """Count what an earlier run has settled, and return it."""
        try:
            settled = await self._in_thread(self._read_earlier)
        except DamagedFileError as error:
            fix = "+overwrite=true starts anew and moves the old files aside; or repair the file"
            raise ConfigError(Mistake(str(error), where="output_jsonl_fpath", fix=fix)) from error
        counts = self.tally.counts
        self.tally.resumed = counts.settled
        if counts.settled:
            self._notes.append(f"resumed: {counts.settled} of {counts.expected} rollouts were settled before")
        return settled

    def _read_earlier(self) -> ResumeState:
        settled = ResumeState.read(self.paths, self.tally.add_earlier, self._reading_is_stopped)
        for record in settled.final_failures():
            self.tally.counts.add_failure(record)
        return settled

    async def _in_thread(self, read: Callable[[], T]) -> T:
        """Read whole files in a thread: the event loop still receives signals. Raises ReadingStopped after a stop."""
        try:
            return await asyncio.to_thread(read)
        except asyncio.CancelledError:
            self._stops_reading.set()
            raise

    def _limits(self) -> CollectorLimits:
        options = self.options
        return CollectorLimits(
            max_in_flight=options.num_samples_in_parallel,
            max_attempts=options.max_attempts,
            rollout_timeout_s=options.rollout_timeout_s,
            time_budget_s=options.time_budget_s,
            strict=options.strict,
            num_drivers=options.num_drivers,
        )

    def _on_outcome(self, outcome: Outcome) -> None:
        self._settled.forget_failure(outcome.key)
        self.tally.add(outcome)
        self._display.update()


def _begun(work: Iterator[Work]) -> Iterator[Work]:
    """Read on to the first work: what is settled already may be most of a large file."""
    return itertools.chain(list(itertools.islice(work, 1)), work)
