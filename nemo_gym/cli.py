"""Public face of running servers from a program."""

from nemo_gym.global_config import GlobalConfigDictParserConfig
from nemo_gym.launch.run_helper import RunHelper

__all__ = ["GlobalConfigDictParserConfig", "RunHelper"]
