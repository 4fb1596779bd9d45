"""The reserve is given back when the medium is full and taken again when there is room, without a flap in between."""

from pathlib import Path

import pytest

from store.space import Room, Space

MIB = 1 << 20


class Disk:
    """A medium whose free bytes a test sets; what the reserve holds is not free."""

    def __init__(self, folder: Path, free: int) -> None:
        self.folder = folder
        self.free_without_reserve = free

    def free(self, _: Path) -> int:
        reserve = self.folder / "reserve"
        return max(0, self.free_without_reserve - (reserve.stat().st_size if reserve.exists() else 0))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path, 100 * MIB)


@pytest.fixture
def space(tmp_path: Path, disk: Disk) -> Space:
    return Space(
        tmp_path, reserve_bytes=4 * MIB, full_below_bytes=2 * MIB, low_below_bytes=10 * MIB, free_bytes=disk.free
    )


def test_the_reserve_is_of_real_blocks(space: Space, tmp_path: Path) -> None:
    assert space.look() is Room.ENOUGH
    held = (tmp_path / "reserve").stat()
    assert held.st_size == 4 * MIB
    assert held.st_blocks * 512 >= 4 * MIB


def test_running_out_warns_then_refuses(space: Space, disk: Disk, tmp_path: Path) -> None:
    space.look()
    disk.free_without_reserve = 13 * MIB
    assert space.look() is Room.LOW
    disk.free_without_reserve = 5 * MIB
    assert space.look() is Room.FULL
    assert (tmp_path / "reserve").stat().st_size == 4 * MIB, "there is room for the open sale without it"


def test_the_reserve_is_given_back_piece_by_piece(space: Space, disk: Disk, tmp_path: Path) -> None:
    """One piece where nothing is left, and the next only when that is gone."""
    space.look()
    disk.free_without_reserve = 4 * MIB
    for _ in range(3):
        assert space.look() is Room.FULL
        assert (tmp_path / "reserve").stat().st_size == 3.5 * MIB
    for pieces in range(6, -1, -1):
        disk.free_without_reserve -= MIB // 2
        space.look()
        assert (tmp_path / "reserve").exists() == (pieces > 0)
        assert not pieces or (tmp_path / "reserve").stat().st_size == pieces * MIB // 2
    assert space.look() is Room.FULL


@pytest.mark.parametrize("left", [0, 2, 3])
def test_it_recovers_unaided_and_not_too_early(space: Space, disk: Disk, tmp_path: Path, left: int) -> None:
    """However much of the reserve is `left`."""
    space.look()
    disk.free_without_reserve = left * MIB
    while (tmp_path / "reserve").exists() and (tmp_path / "reserve").stat().st_size > left * MIB:
        assert space.look() is Room.FULL
    disk.free_without_reserve = 5 * MIB  # room for the reserve alone: taking it would leave less than `full_below`
    assert space.look() is Room.FULL
    assert space.look() is Room.FULL
    disk.free_without_reserve = 50 * MIB
    space.look()
    assert space.look() is Room.ENOUGH
    assert (tmp_path / "reserve").stat().st_size == 4 * MIB


def test_a_medium_that_cannot_be_asked_is_full(tmp_path: Path) -> None:
    assert Space(tmp_path / "gone").look() is Room.FULL


def test_a_small_medium_without_room_for_the_reserve_warns_and_sells(tmp_path: Path, disk: Disk) -> None:
    space = Space(tmp_path, reserve_bytes=200 * MIB, full_below_bytes=2 * MIB, free_bytes=disk.free)
    assert space.look() is Room.LOW
