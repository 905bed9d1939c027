"""Send each task of a JSONL file to an agent; write rollouts as they finish; a summary at the end."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator

from omegaconf import DictConfig
from pydantic import Field

from nemo_gym import event_loop
from nemo_gym.collections.line_file import OutputError
from nemo_gym.commands.entry import DONE, INCOMPLETE, INTERRUPTED, read_options, run_command
from nemo_gym.commands.rollouts.show_rollouts import show_rollouts
from nemo_gym.config.keys import HEAD_SERVER_KEY_NAME, RAY_HEAD_NODE_ADDRESS_KEY_NAME, TLS_KEY_NAME
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.reading.sources import names_head
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import ca_in
from nemo_gym.rollouts.collection import Collection
from nemo_gym.rollouts.collector import DRAIN_S
from nemo_gym.rollouts.drivers.process import StartDriver, start_process
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.rollouts.report import CollectionReport
from nemo_gym.rollouts.summary import failure_lines, summary_rows
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.http.head_lookup import find_run
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.tls import TlsFiles
from nemo_gym.signals import SignalWatch
from nemo_gym.viewer.serving.beside import viewer_beside


class CollectOptions(RolloutCollectionConfig):
    """Parameters of ng_collect_rollouts."""

    viewer: bool = Field(default=False, description="Show the rollouts in a browser while they are collected.")


def main() -> None:
    """Entry point of ng_collect_rollouts."""
    run_command("ng_collect_rollouts", __doc__ or "", CollectOptions, collect)


def collect(command_line: CommandLine) -> int:
    """Collect with the servers that run; return the exit status."""
    values = merge_sources(command_line, own_keys=list(CollectOptions.model_fields))
    options = read_options(CollectOptions, values)
    client = connect(command_line, values)
    with drivers_for(options, client, values.get(RAY_HEAD_NODE_ADDRESS_KEY_NAME)) as (client, start_driver):
        collection = Collection(options, client, start_driver)
        collection.check()
        with viewer_beside(options.output_jsonl_fpath if options.viewer else None):
            return event_loop.run(_collect_with_signals(collection))


@contextlib.contextmanager
def drivers_for(
    options: RolloutCollectionConfig, client: ServerClient, ray_address: str | None
) -> Iterator[tuple[ServerClient, StartDriver]]:
    """Give the client of a collection and what starts its drivers: on a Ray cluster, if one is named."""
    if options.num_drivers == 1 or ray_address is None:
        yield client, start_process
        return
    from nemo_gym.launch.ray.node_drivers import NodeDrivers

    # The head as other nodes call it.
    head = BaseServerConfig.model_validate(dict(client.global_config_dict[HEAD_SERVER_KEY_NAME]))
    ca = client.access.ca
    tls = None if ca is None else TlsFiles(**{**client.global_config_dict[TLS_KEY_NAME], "ca": ca})
    drivers = NodeDrivers(ray_address, head.host, tls, "nemo_gym.rollouts.drivers.driver:DriverOnNode")
    try:
        yield ServerClient(head, client.global_config_dict, client.access), drivers.start
    finally:
        drivers.leave()


def connect(command_line: CommandLine, values: DictConfig) -> ServerClient:
    """Return a client for the run whose head is where `values` say, and print which run that is.

    Raises:
        ConfigError: No head answers there; it wants another token; or it is somebody else's run, and nobody named it.
    """
    configured = values[HEAD_SERVER_KEY_NAME]
    head = BaseServerConfig(host=configured["host"], port=configured["port"])
    access = RunAccess.to_head(head.host, head.port, ca_in(values))
    print(f"using {find_run(head, access, is_named=names_head(command_line))}", file=sys.stderr, flush=True)
    return ServerClient.load_from_global_config(head, access)


async def _collect_with_signals(collection: Collection) -> int:
    with SignalWatch() as signals:
        status = await collect_until_signal(collection, signals)
    end_if_cut_off(collection, status)
    return status


async def collect_until_signal(collection: Collection, signals: SignalWatch, *, may_cut_off: bool = True) -> int:
    """Run a collection to its end, or until a signal: the first lets it drain, the second ends it.

    Args:
        may_cut_off: The process ends afterwards (`end_if_cut_off`), so rollouts that run need not be waited for: to
            cancel tens of thousands of them takes longer than anyone wants to wait after Ctrl-C.
    """
    run = asyncio.ensure_future(collection.run())
    try:
        await signals.first_or(run)
        if not run.done():
            await _drain(collection, run, signals, may_cut_off=may_cut_off)
        if run.done():
            report = run.result()
        elif may_cut_off and collection.cut_off() and not signals.second.done():
            report = collection.report()
        else:
            await _cancel(collection, run)
            return INTERRUPTED
        if collection.options.show:
            show_rollouts(collection.paths.rollouts, collection.options.show)
        print_report(report)
        return _status(report, interrupted=signals.first.done())
    except OutputError as error:
        fix = "free some space or fix the cause, then start the same command again: it runs what is left"
        print(f"output error: {error}\n  fix:   {fix}", file=sys.stderr)
        return INCOMPLETE
    finally:
        if not collection.is_cut_off:
            await close_global_aiohttp_client()


async def _drain(
    collection: Collection, run: "asyncio.Future[CollectionReport]", signals: SignalWatch, *, may_cut_off: bool
) -> None:
    """Let what runs finish, for as long as there is time and no second signal comes."""
    hint = f"stopping: running rollouts have {DRAIN_S:g} s to finish; press Ctrl-C again to stop now"
    print(hint, file=sys.stderr, flush=True)
    # What is to be cut off here must not be cancelled one by one by the collector before.
    collection.stop("interrupted", drain_s=2 * DRAIN_S if may_cut_off else DRAIN_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S if may_cut_off else None):
            await signals.second_or(run)


async def _cancel(collection: Collection, run: "asyncio.Future[CollectionReport]") -> None:
    if not collection.is_cut_off:
        run.cancel()
        await asyncio.wait([run])


def end_if_cut_off(collection: Collection, status: int) -> None:
    """End the process when rollouts of the collection still run: everything has been written and printed."""
    if collection.is_cut_off:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


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
    for line in (*report.notes, *report.example, *failure_lines(report.counts, report.paths)):
        console.print(line, markup=False)
    if report.stopped_because:
        console.print(f"stopped early: {report.stopped_because}", markup=False)
    if not report.is_complete:
        console.print("incomplete: run the same command again for the rest", markup=False)
    console.print(f"rollouts: {report.paths.rollouts}\nmetrics:  {report.paths.metrics}", markup=False)


def _status(report: CollectionReport, *, interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    return DONE if report.is_complete else INCOMPLETE
