"""A second medium and its files: whose it is, what it holds, and what it says that it holds."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.ledger import Record
from store.errors import MirrorForeign, MirrorGone, MirrorLied, MirrorMissing, MirrorUnreadable
from store.mirror import ADOPTED, FOLDER, MirrorMedium, Taken, left_by, mark_taken, read_left, taken_over, terminals_on
from store.mirror_format import recovered
from store.mirror_worker import Worker
from tests.media import medium as mounted
from tests.records import TERMINAL, head_of
from tests.store.mirrors import EPOCH, OWNER, RECORDS, RECOVERY_PRIVATE, HostileFiles, base, more, written


def _append_each(medium: MirrorMedium, records: Sequence[Record]) -> None:
    for record in records:
        medium.append([record])


def files_of(stick: Path, terminal: str = TERMINAL) -> list[str]:
    return sorted(path.name for path in (stick / FOLDER / terminal).iterdir())


def test_a_successor_reads_what_its_terminal_wrote(tmp_path: Path) -> None:
    medium = written(tmp_path / "stick")
    medium.append(RECORDS[9:12])
    assert terminals_on(tmp_path / "stick") == {TERMINAL: [f"{EPOCH}-000001.mirror"]}
    (left,) = left_by(tmp_path / "stick", TERMINAL)
    records: list[Record] = []
    contents = read_left(left, recovered(left.header, RECOVERY_PRIVATE), records.extend)
    assert records == RECORDS[:12]
    assert contents.head == head_of(RECORDS[11])


def test_what_was_begun_and_not_published_counts_for_nothing(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    medium = MirrorMedium(stick, OWNER)
    medium.begin(EPOCH, 1, 1, base())
    medium.append(RECORDS[:5])
    medium.close()
    medium.close()
    assert files_of(stick) == [f"{EPOCH}-000001.mirror.new"]
    assert terminals_on(stick) == {}
    with pytest.raises(MirrorMissing):
        left_by(stick, TERMINAL)
    written(stick)
    assert files_of(stick) == [f"{EPOCH}-000001.mirror"]


def test_the_next_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    medium = written(tmp_path / "stick")
    (found,) = medium.survey()
    assert (found.epoch, found.number, found.head) == (EPOCH, 1, head_of(RECORDS[8]))
    medium.begin(EPOCH, 1, 2, base(after=7))
    medium.append(RECORDS[7:9])
    assert len(medium.survey()) == 1, "the one before stands until the next one does"
    medium.publish()
    medium.remove([found.path])
    assert files_of(tmp_path / "stick") == [f"{EPOCH}-000002.mirror"]


def test_the_newest_file_of_an_epoch_is_the_one_that_is_read(tmp_path: Path) -> None:
    medium = written(tmp_path / "stick")
    medium.begin(EPOCH, 1, 2, base(after=7))
    medium.append(RECORDS[7:20])
    medium.publish()
    (left,) = left_by(tmp_path / "stick", TERMINAL)
    assert left.header.number == 2


def test_somebody_elses_medium_is_not_touched(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    written(stick).close()
    before = {path: path.read_bytes() for path in stick.rglob("*.mirror")}
    other = MirrorMedium(stick, replace(OWNER, terminal="till-9"))
    with pytest.raises(MirrorForeign, match=TERMINAL):
        other.survey()
    assert {path: path.read_bytes() for path in stick.rglob("*.mirror")} == before


def test_a_file_that_this_terminal_cannot_read_says_how_far_it_goes(tmp_path: Path) -> None:
    """As after its keys were changed: nothing is proved, and nothing is thrown away unseen."""
    written(tmp_path / "stick").close()
    (found,) = MirrorMedium(tmp_path / "stick", replace(OWNER, key=bytes([9]) * 32)).survey()
    assert (found.head, found.last) == (None, 9)


def test_a_file_that_is_garbage_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    medium = written(stick)
    (stick / FOLDER / TERMINAL / f"{EPOCH}-000007.mirror").write_bytes(os.urandom(5000))
    (stick / FOLDER / TERMINAL / "holiday.jpg").write_bytes(b"...")
    first, second = medium.survey()
    assert (first.head, second.head, second.last, second.number) == (head_of(RECORDS[8]), None, 0, 7)
    (left,) = left_by(stick, TERMINAL)
    assert left.header.number == 1
    (stick / FOLDER / TERMINAL / f"{EPOCH}-000001.mirror").unlink()
    with pytest.raises(MirrorUnreadable):
        left_by(stick, TERMINAL)


def test_a_medium_that_keeps_nothing_is_found_out_before_it_counts(tmp_path: Path) -> None:
    files = HostileFiles()
    (tmp_path / "stick").mkdir()
    medium = MirrorMedium(tmp_path / "stick", OWNER, files)
    medium.begin(EPOCH, 1, 1, base())
    files.lies = True
    medium.append(RECORDS[:5])
    with pytest.raises(MirrorLied, match="it ends at record 0"):
        medium.publish()
    assert terminals_on(tmp_path / "stick") == {}


def test_a_medium_that_was_changed_for_another_one_is_noticed(tmp_path: Path) -> None:
    medium = written(tmp_path / "stick")
    (tmp_path / "stick").rename(tmp_path / "pocket")
    with pytest.raises(MirrorGone):
        medium.append(RECORDS[9:10])
    (tmp_path / "stick").mkdir()
    with pytest.raises(MirrorGone):
        medium.check()


def test_a_link_on_the_medium_leads_nowhere_else(tmp_path: Path) -> None:
    with mounted(tmp_path / "stick") as stick:
        (stick.folder / FOLDER).symlink_to(tmp_path)
        with pytest.raises(MirrorForeign, match="link"):
            MirrorMedium(stick.folder, OWNER).begin(EPOCH, 1, 1, base())


def test_a_full_medium_keeps_what_it_had(tmp_path: Path) -> None:
    with mounted(tmp_path / "stick", size="16k") as stick:
        medium = written(stick.folder, [RECORDS])
        with pytest.raises(OSError, match="No space") as raised:
            _append_each(medium, more(60))
        assert raised.value.errno == errno.ENOSPC
        medium.close()
        (left,) = left_by(stick.folder, TERMINAL)
        records: list[Record] = []
        contents = read_left(left, recovered(left.header, RECOVERY_PRIVATE), records.extend)
        assert records[: len(RECORDS)] == RECORDS
        assert contents.head.seq >= len(RECORDS)


def test_a_medium_that_is_pulled_in_mid_write_keeps_whole_frames(tmp_path: Path) -> None:
    """Cut at each byte of the last frame, as the medium stood when it went."""
    medium = written(tmp_path / "stick", [RECORDS[:5]])
    (path,) = (tmp_path / "stick").rglob("*.mirror")
    size = path.stat().st_size
    medium.append(RECORDS[5:9])
    medium.close()
    whole = path.read_bytes()
    for end in range(size, len(whole)):
        path.write_bytes(whole[:end])
        (found,) = MirrorMedium(tmp_path / "stick", OWNER).survey()
        assert found.head == head_of(RECORDS[4])


def test_word_of_who_took_over(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    medium = written(stick)
    assert medium.taken() is None
    taken = Taken(epoch="e" * 32, previous_epoch=EPOCH, previous_seq=9, time_ms=1)
    mark_taken(stick, TERMINAL, taken)
    assert medium.taken() == taken == taken_over(stick / FOLDER / TERMINAL)
    (stick / FOLDER / TERMINAL / ADOPTED).write_bytes(b"noise")
    assert medium.taken() is None
    medium.remove([])
    assert files_of(stick) == [f"{EPOCH}-000001.mirror"]


def test_how_much_of_a_file_is_of_no_use_any_more(tmp_path: Path) -> None:
    medium = written(tmp_path / "stick", [RECORDS[:5], RECORDS[5:9]])
    assert medium.acknowledged_bytes(4) < medium.acknowledged_bytes(5) == medium.acknowledged_bytes(8)
    assert medium.acknowledged_bytes(9) == medium.size


async def test_a_call_that_does_not_come_back_is_given_up() -> None:
    worker, never = Worker("test"), threading.Event()
    assert await worker.do(lambda: 1, 1.0) == 1
    with pytest.raises(ZeroDivisionError):
        await worker.do(lambda: 1 // 0, 1.0)
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        await worker.do(never.wait, 0.05)
    assert time.monotonic() - began_s < 1.0
    assert worker.busy
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def last() -> None:
        loop.call_soon_threadsafe(ended.set)

    worker.stop(last)
    never.set()
    await asyncio.wait_for(ended.wait(), 1.0)
