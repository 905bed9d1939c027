"""Public face: running servers from a program, and the commands as functions; the same names as `nemo_gym.cli.env`."""

from nemo_gym.cli.env import *  # noqa: F403
from nemo_gym.cli.env import __all__ as __all__
