"""A home of the test's own, and the scripted endpoint that all readers ask."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import environment, home, running_endpoint

__all__ = ["environment", "home"]


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An OpenAI-compatible endpoint; yields its base URL."""
    home: Path = tmp_path_factory.mktemp("endpoint")
    with running_endpoint({**os.environ, "NEMO_GYM_HOME": str(home)}) as url:
        yield url
