"""Public face: running servers from a program, and the commands as functions.

Each command function reads this process's arguments, as the console script of the same name does, and exits with its
status.
"""

from nemo_gym.commands.environments.init_resources_server import main as init_resources_server
from nemo_gym.commands.environments.test import main as test
from nemo_gym.commands.environments.test_all import main as test_all
from nemo_gym.commands.lookup.dump_config import main as dump_config
from nemo_gym.commands.lookup.help import main as display_help
from nemo_gym.commands.lookup.version import main as version
from nemo_gym.commands.rollouts.collect import main as collect_rollouts
from nemo_gym.commands.rollouts.e2e import main as e2e_rollout_collection
from nemo_gym.commands.rollouts.reverify import main as reverify
from nemo_gym.commands.servers.run import main as run
from nemo_gym.commands.servers.status import main as status
from nemo_gym.commands.servers.stop import main as stop
from nemo_gym.global_config import GlobalConfigDictParserConfig
from nemo_gym.launch.run_helper import RunHelper

__all__ = [
    "GlobalConfigDictParserConfig",
    "RunHelper",
    "collect_rollouts",
    "display_help",
    "dump_config",
    "e2e_rollout_collection",
    "init_resources_server",
    "reverify",
    "run",
    "status",
    "stop",
    "test",
    "test_all",
    "version",
]
