"""The head says of every instance which code its process was started with, whatever shares that process."""

import pytest

from nemo_gym import PARENT_DIR
from nemo_gym.config.code_digest import component_digest
from tests.integration.placement.placement import PROJECT, Placement

pytestmark = pytest.mark.integration


def test_every_worker_of_every_instance_has_the_digest_of_its_own_component(placement: Placement) -> None:
    placement.wait_until_ready()
    digests: dict[str, set[str | None]] = {}
    for state in placement.instances():
        digests.setdefault(state["name"], set()).add(state["code_digest"])
    assert digests["placed"] == {component_digest(PROJECT / "resources_servers" / "placed")}
    assert digests["placed_agent"] == {component_digest(PARENT_DIR / "responses_api_agents" / "simple_agent")}
    assert None not in set().union(*digests.values())
