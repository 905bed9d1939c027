"""Every resources server there is: the shipped ones, and those that `ng_init_resources_server` makes."""

from typing import get_args

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.commands.environments.init_resources_server import TemplateName, write_server
from tests.contract.environment import SHIPPED, Environment

GENERATED = {f"generated_{template}": template for template in get_args(TemplateName)}


@pytest.fixture(scope="session", params=[*(folder.name for folder in SHIPPED), *GENERATED])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    if request.param not in GENERATED:
        return Environment(next(folder for folder in SHIPPED if folder.name == request.param))
    folder = tmp_path_factory.mktemp("project") / "resources_servers" / request.param
    write_server(folder, GENERATED[request.param])
    return Environment(folder)


@pytest.fixture
def server(environment: Environment) -> SimpleResourcesServer:
    return environment.server()


@pytest.fixture
def app(server: SimpleResourcesServer) -> FastAPI:
    return server.setup_webserver()


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """A caller without a session; a handler that breaks is a 500 for it, and no exception of the test."""
    return TestClient(app, raise_server_exceptions=False)
