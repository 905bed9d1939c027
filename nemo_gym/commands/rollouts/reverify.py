"""Score existing rollouts again with today's verifier: the servers run, no model is asked."""

from nemo_gym import event_loop
from nemo_gym.commands.entry import read_options, run_command
from nemo_gym.commands.rollouts.collect import collect_until_signal, connect, end_if_cut_off
from nemo_gym.config.load import merge_sources
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.rollouts.options import ReverifyConfig
from nemo_gym.rollouts.reverify.reverification import Reverification
from nemo_gym.signals import SignalWatch


def main() -> None:
    """Entry point of ng_reverify."""
    run_command("ng_reverify", __doc__ or "", ReverifyConfig, reverify)


def reverify(command_line: CommandLine) -> int:
    """Verify with the servers that run; return the exit status."""
    values = merge_sources(command_line, own_keys=list(ReverifyConfig.model_fields))
    reverification = Reverification(read_options(ReverifyConfig, values), connect(command_line, values))
    reverification.check()
    return event_loop.run(_reverify(reverification))


async def _reverify(reverification: Reverification) -> int:
    with SignalWatch() as signals:
        status = await collect_until_signal(reverification, signals)
    changes = reverification.changes
    print(f"rewards changed: {changes.changed} of {changes.compared} compared")
    end_if_cut_off(reverification, status)
    return status
