"""What turns up is noticed without polling, and has one name through a replug."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.hotplug import Watcher, identity, real_path
from drivers.simulated.cable import PtyCable
from tests.drivers.support import WAIT_S, ignore
from tests.media import medium

LOOKS = 30_000
WAKES = 1_000
"""So many looks at a flickering link met it between two of their steps whenever it was tried."""


async def woken(watcher: Watcher, within_s: float = WAIT_S) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await watcher.wait()
    except TimeoutError:
        return False
    return True


async def test_a_link_that_appears_wakes(tmp_path: Path) -> None:
    async with Watcher([tmp_path / "scanner"]) as watcher:
        (tmp_path / "scanner").symlink_to("/dev/null")
        assert await woken(watcher)


async def test_a_far_end_plugged_in_again_wakes(tmp_path: Path) -> None:
    cable = PtyCable(tmp_path / "scanner", ignore)
    cable.plug()
    async with Watcher([tmp_path / "scanner"]) as watcher:
        for _ in range(3):
            cable.unplug()
            cable.plug()
            assert await woken(watcher)
    cable.close()


async def test_a_folder_that_is_made_later_wakes(tmp_path: Path) -> None:
    """As /dev/serial/by-id, which exists only while something is plugged in."""
    async with Watcher([tmp_path / "serial" / "by-id" / "scanner"]) as watcher:
        (tmp_path / "serial" / "by-id").mkdir(parents=True)
        assert await woken(watcher)
        (tmp_path / "serial" / "by-id" / "scanner").touch()
        assert await woken(watcher)


@contextlib.contextmanager
def flickering(link: Path) -> Iterator[None]:
    """A link that comes and goes as fast as a process can have it."""
    program = "import os, sys\nwhile True:\n    os.symlink('/dev/null', sys.argv[1]); os.unlink(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-S", "-c", program, str(link)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_link_that_goes_while_it_is_followed_is_no_fault(tmp_path: Path) -> None:
    with flickering(tmp_path / "scanner"):
        found = {real_path(tmp_path / "scanner") for _ in range(LOOKS)}
    assert found <= {str(tmp_path / "scanner"), "/dev/null"}


async def test_a_link_that_goes_while_it_is_looked_at_does_not_end_the_watch(tmp_path: Path) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))
    async with Watcher([tmp_path / "scanner", tmp_path / "printer"]) as watcher:
        with flickering(tmp_path / "scanner"):
            for _ in range(WAKES):
                assert await woken(watcher)
        while await woken(watcher, within_s=0.1):
            pass
        (tmp_path / "printer").touch()
        assert await woken(watcher)
    assert faults == []


async def test_the_target_of_a_link_wakes(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "scanner").symlink_to("dev/ttyX")
    async with Watcher([tmp_path / "scanner"]) as watcher:
        (tmp_path / "dev" / "ttyX").touch()
        assert await woken(watcher)


async def test_other_names_do_not_wake(tmp_path: Path) -> None:
    async with Watcher([tmp_path / "scanner"]) as watcher:
        (tmp_path / "printer").touch()
        (tmp_path / "scanner2").touch()
        assert not await woken(watcher, within_s=0.1)


async def test_one_plug_wakes_once(tmp_path: Path) -> None:
    async with Watcher([tmp_path / "scanner"]) as watcher:
        (tmp_path / "scanner").symlink_to("/dev/null")
        assert await woken(watcher)
        assert not await woken(watcher, within_s=0.1)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_path_through_a_parent_folder(tmp_path: Path, count: int) -> None:
    (tmp_path / "terminal").mkdir()
    (tmp_path / "bench").mkdir()
    paths = [tmp_path / "terminal" / ".." / "bench" / f"scanner{i}" for i in range(count)]
    async with Watcher(paths) as watcher:
        (tmp_path / "bench" / f"scanner{count - 1}").touch()
        assert await woken(watcher)


async def test_a_pty_is_named_by_its_configured_path(tmp_path: Path) -> None:
    cable = PtyCable(tmp_path / "scanner", ignore)
    names = set()
    for _ in range(3):
        cable.plug()
        names.add(identity(tmp_path / "scanner"))
        cable.unplug()
    assert names == {str(tmp_path / "scanner")}


async def test_a_medium_that_goes_wakes(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    async with Watcher([stick], media=True) as watcher:
        stick.mkdir()
        assert await woken(watcher)
        stick.rename(tmp_path / "pocket")
        assert await woken(watcher)
        (tmp_path / "pocket").rename(stick)
        assert await woken(watcher)
        assert not await woken(watcher, within_s=0.1)


async def test_a_medium_that_is_mounted_or_unmounted_wakes(tmp_path: Path) -> None:
    with medium(tmp_path / "stick") as stick:
        async with Watcher([stick.folder], media=True) as watcher:
            stick.pull()
            assert await woken(watcher)
            assert stick.plug()
            assert await woken(watcher)
            assert not await woken(watcher, within_s=0.1)
