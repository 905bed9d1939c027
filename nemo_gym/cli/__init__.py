"""Public face: running servers from a program, and the commands as functions; the same names as `nemo_gym.cli.env`."""

from nemo_gym.cli.env import (
    GlobalConfigDictParserConfig,
    RunHelper,
    collect_rollouts,
    display_help,
    dump_config,
    e2e_rollout_collection,
    init_resources_server,
    reverify,
    run,
    status,
    stop,
    test,
    test_all,
    version,
)

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
