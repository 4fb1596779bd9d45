"""A private mosquitto for the tests of headquarters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, mosquitto_in


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Started, on a free loopback port; stopped at the end."""
    with mosquitto_in(tmp_path) as broker:
        yield broker
