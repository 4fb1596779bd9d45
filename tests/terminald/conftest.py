"""Counters for the tests of the daemon. All tests of a module share one, as customers do: see `Countertop.clear`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.countertop import Countertop, countertop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """A running terminal with scanner, payment device, printer and drawer."""
    async with countertop(tmp_path_factory.mktemp("counter") / "shop") as counter:
        yield counter


@pytest_asyncio.fixture(loop_scope="module")
async def counter(module_counter: Countertop) -> Countertop:
    """The module's counter, cleared for the next customer."""
    await module_counter.clear()
    return module_counter
