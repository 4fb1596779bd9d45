"""A private mosquitto for the tests of headquarters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, find_mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Started, on a free loopback port; stopped at the end."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()
