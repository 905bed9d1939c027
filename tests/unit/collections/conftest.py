"""A collection against an agent on a real socket, as in the tests of rollouts."""

from tests.unit.rollouts.conftest import agent, collection

__all__ = ["agent", "collection"]
