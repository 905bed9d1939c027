"""Proof of an environment without a model: it can be solved, it can't be cheated, and it gives what it gave before."""

from nemo_gym.environment_checks.checks import CHECKS, check_component, check_environment, check_subject
from nemo_gym.environment_checks.report import CheckResult, Finding, Report
from nemo_gym.environment_checks.subject import Subject

__all__ = [
    "CHECKS",
    "CheckResult",
    "Finding",
    "Report",
    "Subject",
    "check_component",
    "check_environment",
    "check_subject",
]
