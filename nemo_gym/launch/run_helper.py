"""A run inside a program of the user: start, look after, stop, without an event loop of one's own."""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from omegaconf import OmegaConf

from nemo_gym.config.checks.validation import validated
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import RunConfig, load_config
from nemo_gym.config.reading.command_line import parse_command_line
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import HEAD_SERVER_KEY_NAME, GlobalConfigDictParserConfig, replace_global_config_dict
from nemo_gym.launch.launcher import Launcher
from nemo_gym.launch.loop_thread import LoopThread
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.launch.terminal.console import ServerConsole
from nemo_gym.launch.terminal.tables import ready_text
from nemo_gym.servers.http.client import ServerClient

_POLL_S = 1.0


class RunHelper:
    """Starts the servers of a configuration, in processes of their own, and stops them.

    It may be used in any thread, also in one whose event loop runs: its methods block, so a loop waits meanwhile.
    """

    def __init__(self) -> None:
        self._launcher: Launcher | None = None
        self._console: ServerConsole | None = None
        self._server_client: ServerClient | None = None
        self._start_s = 0.0
        self._loop = LoopThread("nemo-gym-launcher")

    def start(self, global_config_dict_parser_config: GlobalConfigDictParserConfig | None = None) -> None:
        """Start everything and return when all servers are ready. The servers end with this process at the latest.

        Args:
            global_config_dict_parser_config: Where the configuration comes from; None reads this process's arguments
                and `env.yaml`. It also becomes the configuration of this process (`get_global_config_dict()`), with
                host and port of every server.

        Raises:
            ConfigError: The configuration has mistakes, or a port or an environment can't be had.
            StartError: A server ended or was not ready in time.
            RuntimeError: This helper runs already.
        """
        if self._launcher is not None:
            raise RuntimeError("already started: call shutdown() first")
        wanted = global_config_dict_parser_config or GlobalConfigDictParserConfig()
        began_at = time.monotonic()
        config = _load(wanted)
        console = ServerConsole()
        launcher = Launcher(config, _launch_options(config), console.say, is_command=False)
        self._launcher, self._console = launcher, console
        self._loop.begin()
        try:
            self._loop.result_of(launcher.start())
        except BaseException:
            self.shutdown()
            raise
        self._start_s = time.monotonic() - began_at
        values = replace_global_config_dict(launcher.addressed_config)
        head = BaseServerConfig.model_validate(dict(values[HEAD_SERVER_KEY_NAME]))
        self._server_client = ServerClient(head, values, launcher.access)

    @property
    def head_server_config(self) -> BaseServerConfig:
        """Where the head is called, also from other machines of a cluster; RuntimeError: nothing is started."""
        if self._server_client is None:
            raise RuntimeError("not started")
        return self._server_client.head_server_config

    @property
    def run_token(self) -> str | None:
        """What callers of the servers present, elsewhere as NEMO_GYM_RUN_TOKEN; None with auth=none."""
        return None if self._launcher is None else self._launcher.run_token

    @property
    def ca(self) -> str | None:
        """What callers check the servers' certificates against, elsewhere as NEMO_GYM_RUN_CA; None without TLS."""
        return None if self._launcher is None else self._launcher.access.ca

    def display_server_instance_info(self) -> None:
        """Print every server with its address and process id, where the logs are, and where the head is.

        Raises:
            RuntimeError: Nothing is started.
        """
        if self._launcher is None or self._console is None:
            raise RuntimeError("not started")
        servers, config = self._launcher.states_now(), self._launcher.config
        is_terminal = self._console.is_terminal
        table = ready_text(servers, config, self._start_s, "shutdown() stops them", is_terminal=is_terminal)
        self._console.say("", table)

    def poll(self) -> None:
        """Return when all is well; a server that is being restarted counts as well.

        Raises:
            RuntimeError: Nothing is started, or servers died too often and are not restarted any more.
        """
        if self._launcher is None:
            raise RuntimeError("not started")
        failed = [f"{s.name} (log: {s.log})" for s in self._launcher.states_now() if s.state == "failed"]
        if failed:
            raise RuntimeError(f"servers died and are not restarted any more: {', '.join(failed)}")

    def shutdown(self) -> None:
        """Stop everything, within `stop_timeout_s`; nothing when nothing is started."""
        if self._launcher is None:
            return
        try:
            self._loop.result_of(self._launcher.stop())
        finally:
            self._loop.end()
            if self._console is not None:
                self._console.close()
            self._launcher = self._console = self._server_client = None

    def run_forever(self) -> None:
        """Look after the servers until Ctrl-C or SIGTERM, which reach the main thread alone, then stop them.

        Raises:
            RuntimeError: As in `poll`; the rest is stopped first.
        """
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, _as_interrupt) if is_main else None
        try:
            while True:
                self.poll()
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            return
        finally:
            self.shutdown()
            if is_main:
                signal.signal(signal.SIGTERM, before)


def _load(wanted: GlobalConfigDictParserConfig) -> RunConfig:
    return load_config(
        None if wanted.skip_load_from_cli else parse_command_line(sys.argv[1:]),
        dotenv_path=wanted.dotenv_path,
        skip_dotenv=wanted.skip_load_from_dotenv,
        initial=wanted.initial_global_config_dict,
        own_keys=list(LaunchOptions.model_fields),
    )


def _launch_options(config: RunConfig) -> LaunchOptions:
    values: Any = OmegaConf.to_container(config.global_config_dict)
    own = {key: value for key, value in values.items() if key in LaunchOptions.model_fields}
    options, findings = validated(LaunchOptions, own, (), set(), lambda *path: ".".join(map(str, path)))
    if options is None:
        raise ConfigError(*(finding.mistake for finding in findings))
    return options


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
