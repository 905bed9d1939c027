"""The tutorial, run up to the first step of each trainer."""

import pytest

from tests.docs.pages import blocks_of
from tests.docs.reader import new_reader
from tests.training.conftest import Workbench

pytestmark = pytest.mark.training
PAGE = "docs/tutorials/offline-training-w-rollouts.md"


def test_the_tutorial_ends_with_a_step_of_each_trainer(workbench: Workbench) -> None:
    reader = new_reader(workbench.folder, workbench.environment)
    reader.follow(PAGE)
    (reader.folder / "results").rename(workbench.folder / "results")
    for block in blocks_of(PAGE, "python"):
        assert workbench.run(workbench.trainers.python, "-c", block.code).splitlines()[-1].startswith("loss ")
