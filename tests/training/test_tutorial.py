"""The tutorial, run up to the first step of each trainer."""

import pytest

from tests.training.conftest import Workbench
from tests.training.tutorial import blocks, run_commands

pytestmark = pytest.mark.training


def test_the_tutorial_ends_with_a_step_of_each_trainer(workbench: Workbench) -> None:
    run_commands("tutorials/offline-training-w-rollouts.md", workbench.folder, workbench.environment)
    for code in blocks("tutorials/offline-training-w-rollouts.md", "python"):
        assert workbench.run(workbench.trainers.python, "-c", code).splitlines()[-1].startswith("loss ")
