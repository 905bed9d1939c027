"""Send each task of a JSONL file to an agent; write rollouts as they finish; a summary at the end."""

import asyncio
import sys
from pathlib import Path

from omegaconf import DictConfig

from nemo_gym import event_loop
from nemo_gym.collections.line_file import OutputError
from nemo_gym.commands.entry import DONE, INCOMPLETE, INTERRUPTED, read_options, run_command
from nemo_gym.commands.show_rollouts import show_rollouts
from nemo_gym.config.keys import HEAD_SERVER_KEY_NAME
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.collection import Collection, CollectionReport
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.rollouts.summary import failure_lines, summary_rows
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.signals import SignalWatch


def main() -> None:
    """Entry point of ng_collect_rollouts."""
    run_command("ng_collect_rollouts", __doc__ or "", RolloutCollectionConfig, collect)


def collect(command_line: CommandLine) -> int:
    """Collect with the servers that run; return the exit status."""
    values = merge_sources(command_line, own_keys=list(RolloutCollectionConfig.model_fields))
    options = read_options(RolloutCollectionConfig, values)
    collection = Collection(options, connect(values))
    collection.check()
    return event_loop.run(_collect_with_signals(collection))


def connect(values: DictConfig) -> ServerClient:
    """Return a client for the servers that run; raises ConfigError when no head answers where `values` say."""
    head = values[HEAD_SERVER_KEY_NAME]
    return ServerClient.load_from_global_config(BaseServerConfig(host=head["host"], port=head["port"]))


async def _collect_with_signals(collection: Collection) -> int:
    with SignalWatch() as signals:
        return await collect_until_signal(collection, signals)


async def collect_until_signal(collection: Collection, signals: SignalWatch) -> int:
    """Run a collection to its end, or until a signal: the first drains, the second cuts off."""
    run = asyncio.ensure_future(collection.run())
    try:
        await signals.first_or(run)
        if not run.done():
            print("stopping: what runs has 5 s to finish; again to stop now", file=sys.stderr, flush=True)
            collection.stop("interrupted")
            await signals.second_or(run)
        if not run.done():
            run.cancel()
            await asyncio.wait([run])
            return INTERRUPTED
        if collection.options.show:
            show_rollouts(collection.paths.rollouts, collection.options.show)
        print_report(run.result())
        return _status(run.result(), interrupted=signals.first.done())
    except OutputError as error:
        fix = "make room or mend it, then start the same command again: what was written is whole, the rest is run"
        print(f"output error: {error}\n  fix:   {fix}", file=sys.stderr)
        return INCOMPLETE
    finally:
        await close_global_aiohttp_client()


def print_report(report: CollectionReport) -> None:
    """Print the summary of a collection."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    table = Table("rollouts", "", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for row in summary_rows(report.counts, report.metrics, report.seconds):
        table.add_row(*row)
    console.print(table)
    for line in (*report.notes, *failure_lines(report.counts, report.paths)):
        console.print(line, markup=False)
    if report.stopped_because:
        console.print(f"stopped early: {report.stopped_because}", markup=False)
    if not report.is_complete:
        console.print("incomplete: the same command again runs what is left", markup=False)
    shown = Path(report.paths.rollouts)
    console.print(f"rollouts: {shown}   metrics: {report.paths.metrics}", markup=False)


def _status(report: CollectionReport, *, interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    return DONE if report.is_complete else INCOMPLETE
