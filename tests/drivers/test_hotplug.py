"""What turns up is noticed without polling, and has one name through a replug."""

import asyncio
from pathlib import Path

import pytest

from drivers.hotplug import Watcher, identity
from drivers.simulated.cable import PtyCable
from tests.drivers.support import WAIT_S, ignore
from tests.media import medium


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
