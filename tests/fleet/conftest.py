"""A private mosquitto, and databases of both kinds, for the tests of headquarters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.store import Address
from tests.brokers import Mosquitto, mosquitto_in
from tests.postgres import Cluster, cluster, need_postgres


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Started, on a free loopback port; stopped at the end."""
    with mosquitto_in(tmp_path) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of this worker's own; the test is skipped where none can be had."""
    need_postgres()
    with cluster() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return tmp_path / "headquarters.db"
    running: Cluster = request.getfixturevalue("postgres")
    return running.database(request.node.name)
