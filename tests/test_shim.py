"""What the proofs of durability rest on: the trace of a process's calls, and the medium that a power cut leaves of them."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.shim.boundary import environment, read_log
from tests.shim.disk import SECTOR_BYTES, Disk
from tests.shim.trace import Event, Kind, read_trace

OLD, NEW = b"o" * 1024, b"n" * 1024
IMAGES = 200


def event(
    kind: Kind, name: str = "file", *, outcome: int = 0, offset: int = 0, data: bytes = b"", inode: int = 7
) -> Event:
    return Event(kind, outcome, name, inode, offset, data)


def write(data: bytes, offset: int = 0) -> Event:
    return event(Kind.WRITTEN, data=data, offset=offset)


FLUSH = event(Kind.FLUSHED)
FAILED_FLUSH = event(Kind.FLUSHED, outcome=errno.EIO)
FOLDER_FLUSH = event(Kind.FLUSHED, "", inode=1)


def images(*events: Event, lying: bool = False) -> list[dict[str, bytes]]:
    """What power cuts may leave after these events in a folder that holds one old file."""
    disk = Disk({"file": OLD}, lying=lying)
    for each in events:
        disk.take(each)
    return [disk.image(Random(seed)) for seed in range(IMAGES)]


def contents(found: list[dict[str, bytes]], name: str = "file") -> set[bytes | None]:
    return {image.get(name) for image in found}


def test_what_was_flushed_is_there() -> None:
    assert contents(images(write(NEW), FLUSH)) == {NEW}


def test_what_was_not_flushed_is_there_lost_or_torn_at_a_sector() -> None:
    torn = {OLD[:SECTOR_BYTES] + NEW[SECTOR_BYTES:], NEW[:SECTOR_BYTES] + OLD[SECTOR_BYTES:]}
    assert contents(images(write(NEW))) == {OLD, NEW, *torn}


def test_writes_reach_the_medium_in_any_order() -> None:
    later = write(b"l" * SECTOR_BYTES, 1024)
    assert OLD + b"l" * SECTOR_BYTES in contents(images(write(NEW), later))


def test_a_length_may_come_through_without_its_bytes() -> None:
    assert OLD + bytes(SECTOR_BYTES) in contents(images(write(b"l" * SECTOR_BYTES, 1024)))


def test_a_lying_medium_keeps_nothing_for_certain() -> None:
    assert OLD in contents(images(write(NEW), FLUSH, lying=True))


def test_a_flush_after_a_failed_one_proves_nothing() -> None:
    assert OLD in contents(images(write(NEW), FAILED_FLUSH, FLUSH))
    assert contents(images(write(NEW), FAILED_FLUSH, write(NEW), FLUSH)) == {NEW}


def test_a_name_is_there_once_its_folder_was_synced() -> None:
    made = (event(Kind.CREATED, "next", inode=9), event(Kind.WRITTEN, "next", data=NEW, inode=9))
    flushed = (*made, event(Kind.FLUSHED, "next", inode=9))
    renamed = (*flushed, event(Kind.RENAMED, data=b"next"))
    assert contents(images(*flushed), "next") == {None, NEW}
    assert contents(images(*renamed)) == {OLD, NEW}
    assert contents(images(*renamed, FOLDER_FLUSH)) == {NEW}
    assert contents(images(*renamed, FOLDER_FLUSH), "next") == {None}


def test_a_deleted_file_may_come_back() -> None:
    gone = event(Kind.UNLINKED)
    assert contents(images(gone)) == {OLD, None}
    assert contents(images(gone, FOLDER_FLUSH)) == {None}


PROGRAM = """
import os, sys
folder = sys.argv[1]
os.write(1, b"begins")
file = os.open(folder + "/a.new", os.O_RDWR | os.O_CREAT)
os.write(file, b"one")
os.pwrite(file, b"two", 3)
os.fsync(file)
os.ftruncate(file, 4)
os.rename(folder + "/a.new", folder + "/a")
above = os.open(folder, os.O_RDONLY)
os.fsync(above)
os.unlink(folder + "/a")
"""


def over_shim(tmp_path: Path, program: str, **shim: str | int) -> subprocess.CompletedProcess[bytes]:
    folder = tmp_path / "folder"
    folder.mkdir()
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)], env=environment(folder, **shim), capture_output=True, check=False
    )


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for the shim")
class TestShim:
    def test_a_trace_tells_all_in_order(self, tmp_path: Path) -> None:
        ended = over_shim(tmp_path, PROGRAM, trace=str(tmp_path / "trace"))
        assert ended.returncode == 0, ended.stderr
        told = [
            (each.kind, each.name, each.offset, each.data)
            for each in read_trace(tmp_path / "trace", tmp_path / "folder")
        ]
        assert told == [
            (Kind.SAID, "", 0, b"begins"),
            (Kind.CREATED, "a.new", 0, b""),
            (Kind.WRITTEN, "a.new", 0, b"one"),
            (Kind.WRITTEN, "a.new", 3, b"two"),
            (Kind.FLUSHED, "a.new", 0, b""),
            (Kind.RESIZED, "a.new", 4, b""),
            (Kind.RENAMED, "a", 0, b"a.new"),
            (Kind.FLUSHED, "", 0, b""),
            (Kind.UNLINKED, "a", 0, b""),
        ]

    @pytest.mark.parametrize("kind", ["open", "write", "pwrite", "fsync", "truncate", "rename", "unlink"])
    def test_a_call_of_each_kind_can_fail(self, tmp_path: Path, kind: str) -> None:
        ended = over_shim(tmp_path, PROGRAM, kinds=kind, at=1, action=errno.EROFS)
        assert b"Read-only file system" in ended.stderr

    def test_a_short_write_says_so(self, tmp_path: Path) -> None:
        program = (
            "import os, sys\nfile = os.open(sys.argv[1] + '/a', os.O_RDWR | os.O_CREAT)\nprint(os.write(file, b'1234'))"
        )
        assert over_shim(tmp_path, program, at=1, action="short").stdout == b"2\n"
        assert (tmp_path / "folder" / "a").read_bytes() == b"12"

    def test_only_files_of_a_name_count(self, tmp_path: Path) -> None:
        over_shim(tmp_path, PROGRAM, name="a.new", log=str(tmp_path / "log"))
        assert {call.name for call in read_log(tmp_path / "log")} == {"a.new"}

    def test_flushes_can_take_longer(self, tmp_path: Path) -> None:
        program = PROGRAM + "import time\nbegan = time.monotonic()\nos.fsync(file)\nprint(time.monotonic() - began)"
        ended = over_shim(tmp_path, program, flush_us=50_000)
        assert float(ended.stdout.removeprefix(b"begins")) >= 0.05
