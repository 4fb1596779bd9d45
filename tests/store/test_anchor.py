"""The anchor: what a slot file says, what a torn one still says, and how a journal keeps it."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.ledger import Head
from store.anchor import (
    SLOT_BYTES,
    SLOT_STRIDE,
    Anchor,
    AnchorFile,
    anchor_path,
    binding,
    is_elsewhere,
    merged,
    read_anchor,
)
from store.database import connect
from store.epochs import Founding
from store.records import Acknowledge, Append, RecordStore, SaveCheckpoint, Sync, SyncAnchor
from tests.shim.boundary import ROOT, read_log
from tests.shim.boundary import run as run_over_shim
from tests.store.journals import KEY, STAMP, basket, money

SLOT_KEY = bytes(range(32))
FOUNDING = Founding(terminal="till-1", signing_key=bytes(32), stamp=STAMP)


def anchor(seq: int) -> Anchor:
    return Anchor(epoch="0f" * 16, seq=seq, hash=bytes([seq]) * 32, number=seq * 2, log_bytes=4096, checkpoint=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two slots written."""
    place = tmp_path / "journal.anchor"
    file = AnchorFile(place, SLOT_KEY)
    for seq in (1, 2, 3):
        file.write(anchor(seq))
    file.sync()
    file.close()
    file.close()
    return place


def test_the_newest_slot_counts(path: Path) -> None:
    found = read_anchor(path, SLOT_KEY)
    assert (found.state, found.anchor, found.generation) == ("whole", anchor(3), 3)
    assert path.stat().st_mode & 0o777 == 0o600


def test_generations_go_on(path: Path) -> None:
    file = AnchorFile(path, SLOT_KEY)
    file.write(anchor(4))
    file.close()
    assert read_anchor(path, SLOT_KEY).anchor == anchor(4)


@pytest.mark.parametrize("offset", [0, 9, 20, 60, 200, SLOT_BYTES - 40, SLOT_BYTES - 1])
def test_one_bad_bit_anywhere_leaves_the_other_slot(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[SLOT_STRIDE + offset] ^= 1  # generation 3 is in the second slot
    path.write_bytes(content)
    assert read_anchor(path, SLOT_KEY).anchor == anchor(2)


@pytest.mark.parametrize("torn", range(0, SLOT_BYTES + 1, 64))
def test_a_write_that_stops_anywhere_leaves_an_anchor(path: Path, torn: int) -> None:
    before = path.read_bytes()
    file = AnchorFile(path, SLOT_KEY)
    file.write(anchor(4))
    file.close()
    after = path.read_bytes()
    path.write_bytes(after[:torn] + before[torn:])
    assert read_anchor(path, SLOT_KEY).anchor in (anchor(3), anchor(4))


def test_both_slots_damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    content[SLOT_STRIDE + 100] ^= 1
    path.write_bytes(content)
    assert read_anchor(path, SLOT_KEY).state == "unreadable"


def test_another_journals_anchor(path: Path) -> None:
    found = read_anchor(path, bytes(32))
    assert (found.state, found.anchor) == ("foreign", None)


@pytest.mark.parametrize("content", [b"", bytes(100), bytes(SLOT_STRIDE + SLOT_BYTES)])
def test_a_file_that_was_not_written_to_is_none(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "journal.anchor"
    place.write_bytes(content)
    assert read_anchor(place, SLOT_KEY).state == "absent"
    file = AnchorFile(place, SLOT_KEY)
    file.write(anchor(1))
    file.close()
    assert read_anchor(place, SLOT_KEY).anchor == anchor(1)


@pytest.mark.parametrize("torn", range(64, SLOT_BYTES, 64))
def test_a_first_anchor_that_stops_anywhere_is_none(tmp_path: Path, torn: int) -> None:
    place = tmp_path / "journal.anchor"
    file = AnchorFile(place, SLOT_KEY)
    file.write(anchor(1))
    file.close()
    content = place.read_bytes()
    place.write_bytes(content[: SLOT_STRIDE + torn] + bytes(SLOT_BYTES - torn))
    assert read_anchor(place, SLOT_KEY).state == "absent"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert read_anchor(tmp_path / "journal.anchor", SLOT_KEY).state == "absent"


def test_a_binding_counts_where_both_sides_know() -> None:
    here = binding("board", "card", "", "machine")
    assert not is_elsewhere(here, here)
    assert not is_elsewhere(here, binding("", "card", "uuid", ""))
    assert is_elsewhere(here, binding("board", "another card", "", "machine"))
    assert is_elsewhere(here, binding("another board", "", "", ""))
    assert binding("same", "", "", "")[:8] != binding("", "same", "", "")[8:16]
    both = merged(here, binding("", "", "uuid", ""))
    assert is_elsewhere(both, binding("", "", "another", ""))
    assert is_elsewhere(both, binding("x", "", "", ""))


# --- how a journal keeps it --------------------------------------------------------------------------------------


def kept(path: Path) -> Anchor:
    """What the anchor of a journal says now."""
    connection = connect(path, KEY, mode="ro")
    (key,) = connection.execute("SELECT key FROM anchoring").fetchone()
    connection.close()
    found = read_anchor(anchor_path(path), key)
    assert found.anchor is not None, found.state
    return found.anchor


def test_it_says_what_is_on_the_medium_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store = RecordStore(path, KEY, FOUNDING)
    steps: list[tuple[Append | Sync, int]] = [
        (Append((money(),), STAMP, None), 2),
        (Append((basket(),), STAMP, None), 2),
        (Append((basket(),), STAMP, None), 2),
        (Sync(), 4),
        (Append((basket(), money()), STAMP, None), 6),
    ]
    for task, seq in steps:
        store.commit([task])
        store.rest()
        assert (kept(path).seq, kept(path).seq) == (seq, store.synced.seq)
        assert kept(path).hash == store.synced.hash
    assert kept(path).log_bytes > 0
    store.close()
    assert (kept(path).seq, kept(path).log_bytes) == (6, 0)


def test_it_knows_checkpoint_and_acknowledgement_once_they_are_synced(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store = RecordStore(path, KEY, FOUNDING)
    store.commit([Acknowledge(store.head.epoch, 1, b"ack"), SaveCheckpoint(1, b"state")])
    store.rest()
    assert (kept(path).checkpoint, kept(path).acknowledgement) == (0, 0)
    store.commit([Append((money(),), STAMP, None)])
    store.rest()
    assert (kept(path).checkpoint, kept(path).acknowledgement) == (1, 1)
    store.close()


def test_it_costs_no_flush_until_asked(tmp_path: Path) -> None:
    folder, log = tmp_path / "terminal", tmp_path / "calls"
    folder.mkdir()
    program = (
        "import sys; from pathlib import Path; from bench.committing import open_store, record\n"
        "store = open_store(Path(sys.argv[1])); print('open', flush=True)\n"
        "for _ in range(50): store.commit([record()]); store.rest()\n"
        "import os; os._exit(0)"
    )
    ended = run_over_shim([sys.executable, "-c", program, str(folder)], folder, log=str(log))
    assert ended.returncode == 0, ended.stderr
    calls = [call for call in read_log(log) if call.name == "journal.anchor"]
    assert sum(call.flushes for call in calls) == 2  # made, and first written, before anything is sold
    assert sum(call.writes for call in calls) == 1 + 1 + 50
    assert kept(folder / "journal.db").seq == 51  # a killed process leaves it to the system


SELLER = """
import asyncio, os, sys
from pathlib import Path
from store.errors import JournalError
from store.journal import SqlJournal
from tests.store.journals import KEY, SIGNING_KEY, STAMP, money

async def main():
    try:
        journal = await SqlJournal.open(
            Path(sys.argv[1], "journal.db"), KEY, terminal="till-1", signing_key=SIGNING_KEY, stamp=STAMP,
            anchor_delay_s=0.1,
        )
    except JournalError as error:
        print(error.code, flush=True)
        os._exit(0)
    print(journal.anchor_fault, flush=True)
    try:
        for _ in range(10):
            await journal.append([money()], STAMP)
        async with asyncio.timeout(0.6):
            await journal.watch()
    except TimeoutError:
        print("well", flush=True)
    except JournalError as error:
        print(error.code, flush=True)
    os._exit(0)

asyncio.run(main())
"""


def sell(folder: Path, **shim: str | int) -> list[str]:
    """Ten sales and an idle moment, without a goodbye; what the seller said."""
    folder.mkdir()
    ended = run_over_shim([sys.executable, "-c", SELLER, str(folder)], folder, **shim)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def test_it_is_synced_once_within_its_delay(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    assert sell(tmp_path / "terminal", log=str(log)) == ["None", "well"]
    calls = [call for call in read_log(log) if call.name == "journal.anchor"]
    assert [call.kind for call in calls if call.flushes] == ["fsync"] * 3
    assert calls[-1].flushes


def test_an_anchor_that_fails_later_ends_the_run(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    sell(tmp_path / "terminal", log=str(log))
    calls = [call for call in read_log(log) if call.name == "journal.anchor"]
    for place, call in enumerate((calls[-1], [call for call in calls if call.writes][-1])):
        assert sell(tmp_path / str(place), at=call.number, action=errno.EIO) == ["None", "journal-outcome-unknown"]


def test_an_anchor_that_cannot_be_written_at_the_start_is_said_and_done_without(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    sell(tmp_path / "terminal", log=str(log))
    made = next(call for call in read_log(log) if call.name == "journal.anchor")
    said = sell(tmp_path / "again", at=made.number, action=errno.EIO)
    assert (said[0], said[-1]) == ("OSError:", "well")


def test_an_anchor_whose_flush_fails_ends_the_start(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    sell(tmp_path / "terminal", log=str(log))
    flushes = [call for call in read_log(log) if call.name == "journal.anchor" and call.flushes]
    for place, call in enumerate(flushes[:2]):
        assert sell(tmp_path / str(place), at=call.number, action=errno.EIO) == ["journal"]


def test_a_medium_that_takes_no_anchor_stops_no_sale(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    anchor_path(path).mkdir()
    store = RecordStore(path, KEY, FOUNDING)
    assert store.anchor_fault is not None
    (records,) = store.commit([Append((money(),), STAMP, None)])
    store.rest()
    store.commit([SyncAnchor()])
    assert records[0].seq == 2
    store.close()
    anchor_path(path).rmdir()
    store = RecordStore(path, KEY, FOUNDING)
    assert (store.anchor_fault, store.opened, store.head.seq) == (None, None, 2)
    store.close()


def test_one_damaged_slot_is_no_reason_for_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for slot in (0, SLOT_STRIDE):
        RecordStore(path, KEY, FOUNDING).close()
        content = bytearray(anchor_path(path).read_bytes())
        content[slot + 64] ^= 0xFF
        anchor_path(path).write_bytes(content)
        store = RecordStore(path, KEY, FOUNDING)
        assert store.opened is None
        store.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda place: place.unlink(), "anchor-lost"),
        (lambda place: place.write_bytes(b"\xff" * (SLOT_STRIDE + SLOT_BYTES)), "anchor-lost"),
        (lambda place: place.write_bytes(b""), "anchor-lost"),
    ],
)
def test_without_its_anchor_a_journal_goes_on_in_another_epoch(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "journal.db"
    RecordStore(path, KEY, FOUNDING).close()
    spoil(anchor_path(path))
    store = RecordStore(path, KEY, FOUNDING)
    assert store.opened is not None
    assert store.opened.reason == reason
    store.close()
    store = RecordStore(path, KEY, FOUNDING)
    assert store.opened is None
    store.close()


def test_another_journals_anchor_is_told(tmp_path: Path) -> None:
    one, other = tmp_path / "journal.db", tmp_path / "other.db"
    for each in (one, other):
        RecordStore(each, KEY, FOUNDING).close()
    os.replace(anchor_path(other), anchor_path(one))
    store = RecordStore(one, KEY, FOUNDING)
    assert store.opened is not None
    assert store.opened.reason == "anchor-foreign"
    store.close()


def test_a_killed_first_boot_leaves_no_alarm(tmp_path: Path) -> None:
    """Whenever it is killed: a start after it goes on in the same epoch."""
    program = (
        "import sys; from pathlib import Path; from bench.committing import open_store; open_store(Path(sys.argv[1]))"
    )
    folder, log = tmp_path / "counted", tmp_path / "calls"
    folder.mkdir()
    run_over_shim([sys.executable, "-c", program, str(folder)], folder, log=str(log))
    calls = [call for call in read_log(log) if call.name in ("journal.anchor", "journal.db")]
    for call in calls[-12:]:
        each = tmp_path / str(call.number)
        each.mkdir()
        run_over_shim([sys.executable, "-c", program, str(each)], each, at=call.number, action="before")
        before = _head(each)
        ended = subprocess.run(
            [sys.executable, "-c", program + ".opened and sys.exit(3)", str(each)],
            check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert ended.returncode == 0, f"{call}: {ended.stderr}"
        assert before in (None, _head(each)), call


def _head(folder: Path) -> Head | None:
    path = folder / "journal.db"
    if not path.exists():
        return None
    connection = connect(path, KEY, mode="ro")
    rows = connection.execute("SELECT id FROM epoch").fetchall()
    connection.close()
    assert len(rows) == 1
    return Head(epoch=rows[0][0], seq=1, hash=b"")
