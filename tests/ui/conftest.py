"""A till to look at: a control socket with nothing behind it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ui.fake_till import FakeTill


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[FakeTill]:
    till = FakeTill(tmp_path / "control.sock")
    till.start()
    yield till
    await till.kill()
