"""Start the servers, collect rollouts, stop the servers: ng_run and ng_collect_rollouts in one command."""

import sys

from omegaconf import DictConfig

from nemo_gym import event_loop
from nemo_gym.commands.entry import INTERRUPTED, read_options, run_command
from nemo_gym.commands.rollouts.collect import CollectOptions, collect_until_signal, drivers_for
from nemo_gym.commands.servers.run import RunOptions
from nemo_gym.config.keys import RAY_HEAD_NODE_ADDRESS_KEY_NAME
from nemo_gym.config.load import RunConfig, load_config
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.launch.launcher import Launcher, StartError
from nemo_gym.launch.terminal.foreground import Interrupted, run_in_foreground
from nemo_gym.rollouts.collection import Collection
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.signals import SignalWatch
from nemo_gym.viewer.serving.beside import viewer_beside


class EndToEndOptions(CollectOptions, RunOptions):
    """Parameters of ng_e2e_collect_rollouts: those of both commands."""


def main() -> None:
    """Entry point of ng_e2e_collect_rollouts."""
    run_command("ng_e2e_collect_rollouts", __doc__ or "", EndToEndOptions, run_and_collect)


def run_and_collect(command_line: CommandLine) -> int:
    """Start, collect, stop; return the exit status."""
    config = load_config(command_line, own_keys=list(EndToEndOptions.model_fields))
    options = read_options(EndToEndOptions, config.global_config_dict)
    given = options.input_jsonl_fpath
    options.input_jsonl_fpath = config.find_file(given, "input_jsonl_fpath") or given
    head = BaseServerConfig(host=config.head_host, port=config.head_port)
    # The checks a collection can make before its servers are up; addresses come later.
    Collection(options, ServerClient(head, config.global_config_dict)).check()
    with viewer_beside(options.output_jsonl_fpath if options.viewer else None):
        return event_loop.run(_run(config, options, head))


async def _run(config: RunConfig, options: EndToEndOptions, head: BaseServerConfig) -> int:
    async def while_up(launcher: Launcher, signals: SignalWatch) -> int:
        client = ServerClient(head, DictConfig(launcher.public_config()), launcher.access)
        address = config.global_config_dict.get(RAY_HEAD_NODE_ADDRESS_KEY_NAME)
        with drivers_for(options, client, address) as (client, start_driver):
            collection = Collection(options, client, start_driver)
            return await collect_until_signal(collection, signals, may_cut_off=False)

    try:
        return await run_in_foreground(config, options, while_up)
    except StartError as error:
        print(f"start error: {error}", file=sys.stderr)
        return error.exit_status
    except Interrupted:
        return INTERRUPTED
