"""What ties a journal to its board and medium, read from a system's own trees."""

import os
from pathlib import Path

import pytest

from store.anchor import UNBOUND, binding, is_elsewhere
from terminald.binding import binding_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Raspberry Pi's trees: the folder itself lies on the second partition of a card."""
    root = tmp_path / "root"
    number = os.stat(tmp_path).st_dev
    partition = root / "sys/devices/mmc0/block/mmcblk0/mmcblk0p2"
    (partition.parent / "device").mkdir(parents=True)
    partition.mkdir()
    (partition.parent / "device/cid").write_text("035344534c31364780f1d2c3b4012a00\n")
    place = root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    place.parent.mkdir(parents=True)
    place.symlink_to(partition)
    (root / "dev/disk/by-uuid").mkdir(parents=True)
    (root / "dev/mmcblk0p2").touch()
    (root / "dev/disk/by-uuid/9f3a-uuid").symlink_to("../../mmcblk0p2")
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/serial-number").write_bytes(b"10000000abcdef01\0")
    (root / "etc").mkdir()
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    return root


def test_each_part_is_read(root: Path, tmp_path: Path) -> None:
    assert binding_of(tmp_path, root) == binding(
        board="10000000abcdef01",
        medium="035344534c31364780f1d2c3b4012a00",
        filesystem="9f3a-uuid",
        machine="0123456789abcdef0123456789abcdef",
    )


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("proc/device-tree/serial-number", "10000000ffffffff"),
        ("sys/devices/mmc0/block/mmcblk0/device/cid", "ff5344534c31364780f1d2c3b4012a00"),
        ("etc/machine-id", "f" * 32),
    ],
)
def test_each_part_is_another_place(root: Path, tmp_path: Path, part: str, text: str) -> None:
    before = binding_of(tmp_path, root)
    (root / part).write_text(text)
    assert is_elsewhere(before, binding_of(tmp_path, root))


@pytest.mark.parametrize("text", ["", "0", "None", "Default string", "\n"])
def test_what_a_board_says_for_nothing_counts_for_nothing(root: Path, tmp_path: Path, text: str) -> None:
    before = binding_of(tmp_path, root)
    (root / "proc/device-tree/serial-number").write_text(text)
    assert not is_elsewhere(before, binding_of(tmp_path, root))


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    assert binding_of(tmp_path, tmp_path / "empty") == UNBOUND


def test_this_system_is_the_same_each_time(tmp_path: Path) -> None:
    assert binding_of(tmp_path) == binding_of(tmp_path)
