"""Proof without a model, as `ng_check_environment` gives it."""

from pathlib import Path

from nemo_gym.environment_checks import check_component


def test_it_can_be_solved_and_not_be_cheated() -> None:
    report = check_component(Path(__file__).parent.parent)
    assert report.is_passed, str(report)
