"""A home of the test's own and the scripted endpoint, as for integration tests."""

from tests.integration.conftest import endpoint, environment, home

__all__ = ["endpoint", "environment", "home"]
