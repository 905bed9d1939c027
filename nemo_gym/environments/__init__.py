"""The short way to write an environment: methods are tools, and one method gives the reward.

Everything here is made of `SimpleResourcesServer`: an `Environment` is one.
"""

from nemo_gym.base_resources_server import BaseResourcesServerConfig, ToolError
from nemo_gym.environments.answers import answer_after, boxed_answer, boxed_answers, json_object, option_letter
from nemo_gym.environments.cpu_heavy import verifier
from nemo_gym.environments.environment import Environment
from nemo_gym.environments.heavy_work import HeavyWork, HeavyWorkConfig, WorkError, WorkLimitExceeded
from nemo_gym.environments.rollout import Rollout, ToolCall
from nemo_gym.environments.simulated_user import SimulatedUser, SimulatedUserConfig
from nemo_gym.environments.single_answer import single_answer
from nemo_gym.environments.tools import tool
from nemo_gym.environments.turns import UserReply, Utterance
from nemo_gym.environments.verdict import Verdict

__all__ = [
    "BaseResourcesServerConfig",
    "Environment",
    "HeavyWork",
    "HeavyWorkConfig",
    "Rollout",
    "SimulatedUser",
    "SimulatedUserConfig",
    "ToolCall",
    "ToolError",
    "UserReply",
    "Utterance",
    "Verdict",
    "WorkError",
    "WorkLimitExceeded",
    "answer_after",
    "boxed_answer",
    "boxed_answers",
    "json_object",
    "option_letter",
    "single_answer",
    "tool",
    "verifier",
]
