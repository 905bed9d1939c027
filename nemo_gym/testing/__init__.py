"""Test kit for environments: Responses from plain words, a server in process, scripted policies, whole rollouts."""

from nemo_gym.testing.component import component
from nemo_gym.testing.in_process import InProcess, environment
from nemo_gym.testing.policy import Answer, Policy, PolicyStep
from nemo_gym.testing.session import Scored, Session
from nemo_gym.testing.words import assistant, call, reasoning, response, task, tool_result, user

__all__ = [
    "Answer",
    "InProcess",
    "Policy",
    "PolicyStep",
    "Scored",
    "Session",
    "assistant",
    "call",
    "component",
    "environment",
    "reasoning",
    "response",
    "task",
    "tool_result",
    "user",
]
