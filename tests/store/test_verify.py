"""Whatever was done to the records or to the file, a verification finds it and names the first one."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.ledger import GENESIS, Head, Stream, link, open_record
from store.anchor import anchor_path
from store.database import connect
from store.errors import JournalDamaged
from store.findings import Verification
from store.pages import is_cut_off
from store.verify import iter_records, record_line, verify_journal
from store.witness import Witness
from tests.store.journals import KEY, STAMP, basket, money, open_journal

FIRST = 1 << 40


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A closed journal of 21 records in two streams, acknowledged to its end."""
    made = tmp_path / "journal.db"
    async with await open_journal(made) as journal:
        for index in range(10):
            await journal.append([basket("a"), money("b", Stream.TILL)], STAMP, key=f"k{index}")
        await journal.acknowledge(journal.head.epoch, journal.head.seq, b"ack")
    return made


def tamper(path: Path, *statements: str) -> None:
    """Does what the triggers forbid, as one who has the key can."""
    connection = connect(path, KEY)
    for trigger in ("record_stays", "record_is_kept", "epoch_stays", "epoch_is_kept"):
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_whole(path: Path) -> None:
    found = verify_journal(path, KEY)
    assert (found.whole, found.records, found.finding) == (True, 21, None)
    assert found.head is not None
    assert found.head.seq == 21


@pytest.mark.parametrize(
    ("statements", "finding", "told"),
    [
        (
            [f"UPDATE record SET exact = CAST(exact || ' ' AS BLOB) WHERE position = {FIRST + 7}"],
            "record 7 does not fit its hash",
            ("edit", 7, 7),
        ),
        (
            [
                f"UPDATE record SET exact = CAST(exact || ' ' AS BLOB) WHERE position BETWEEN {FIRST + 7} AND {FIRST + 9}"
            ],
            "record 7 does not fit its hash",
            ("edit", 7, 9),
        ),
        (
            [f"UPDATE record SET hash = zeroblob(32) WHERE position = {FIRST + 9}"],
            "record 9 does not fit its hash",
            ("edit", 9, 9),
        ),
        ([f"DELETE FROM record WHERE position = {FIRST + 5}"], "record 5 is missing", ("gap", 5, 5)),
        (
            [f"DELETE FROM record WHERE position BETWEEN {FIRST + 5} AND {FIRST + 8}"],
            "records 5 to 8 are missing",
            ("gap", 5, 8),
        ),
        ([f"DELETE FROM record WHERE position = {FIRST + 1}"], "record 1 is missing", ("gap", 1, 1)),
        (
            [f"DELETE FROM record WHERE position > {FIRST + 18}"],
            "records 19 to 21 are missing at the end",
            ("truncation", 19, 21),
        ),
        (["DELETE FROM record"], "the journal has no records", ("truncation", 1, None)),
        (
            [f"UPDATE record SET key = 'new' WHERE position = {FIRST + 4}"],
            "record 4 does not follow: its key",
            ("edit", 4, 4),
        ),
        (
            [
                f"UPDATE record SET position = 0 WHERE position = {FIRST + 3}",
                f"UPDATE record SET position = {FIRST + 3} WHERE position = {FIRST + 4}",
                f"UPDATE record SET position = {FIRST + 4} WHERE position = 0",
            ],
            "record 3 does not fit its hash",
            ("reorder", 3, 4),
        ),
        (["UPDATE epoch SET id = hex(randomblob(16))"], "record 1 does not follow: its epoch", ("edit", 1, 1)),
        (["DELETE FROM epoch"], "record 1 does not follow: its epoch", ("edit", 1, 1)),
    ],
)
def test_tampering_is_found(path: Path, statements: list[str], finding: str, told: tuple[str, int, int | None]) -> None:
    tamper(path, *statements)
    found = verify_journal(path, KEY)
    assert not found.whole
    assert found.finding is not None
    assert found.finding.startswith(finding)
    assert (found.kind, found.first, found.last) == told


def test_a_chain_made_anew_from_one_record_on_is_a_fork(path: Path) -> None:
    """Every hash and every stream fits; the anchor alone knows that it was another one."""

    def change(number: int, fields: dict[str, Any]) -> None:
        if number >= 20:
            fields["time_ms"] += 1

    streams: dict[str, bytes] = dict.fromkeys(Stream, GENESIS)
    connection = connect(path, KEY)
    connection.execute("DROP TRIGGER record_stays")
    prev = GENESIS
    for position, exact in connection.execute("SELECT position, exact FROM record ORDER BY position").fetchall():
        fields = msgspec.json.decode(exact)
        change(fields["seq"], fields)
        fields["stream_prev"] = streams[fields["stream"]].hex()
        exact = msgspec.json.encode(fields)
        prev = link(prev, exact)
        streams[fields["stream"]] = link(streams[fields["stream"]], exact)
        connection.execute("UPDATE record SET exact = ?, hash = ? WHERE position = ?", (exact, prev, position))
    connection.close()
    found = verify_journal(path, KEY)
    assert (found.kind, found.first, found.last) == ("fork", 21, None)
    assert found.finding is not None
    assert "the anchor knows" in found.finding
    anchor_path(path).unlink()
    assert verify_journal(path, KEY).whole


@pytest.mark.parametrize(
    ("seq", "hash_", "told"),
    [(18, bytes(32), ("fork", 18, None)), (25, bytes(32), ("rollback", 22, 25)), (18, None, (None, None, None))],
)
def test_what_another_medium_knows_counts(
    path: Path, seq: int, hash_: bytes | None, told: tuple[str | None, int | None, int | None]
) -> None:
    records = list(iter_records(path, KEY))
    head = Head(epoch=records[0].epoch, seq=seq, hash=hash_ or records[seq - 1].hash)
    found = verify_journal(path, KEY, witnesses=[Witness(source="the second medium", head=head)])
    assert (found.kind, found.first, found.last) == told


async def test_headquarters_answer_counts(path: Path) -> None:
    async with await open_journal(path) as journal:
        epoch, seq = journal.head.epoch, journal.head.seq
        ack = {"ack": {"epoch": epoch, "hwm": seq, "hash_at_hwm": "0" * 64}, "signature": ""}
        await journal.acknowledge(epoch, seq, msgspec.json.encode(ack))
    found = verify_journal(path, KEY)
    assert (found.kind, found.first) == ("fork", seq)
    assert found.finding is not None
    assert "headquarters" in found.finding


def test_another_terminals_journal(path: Path) -> None:
    found = verify_journal(path, KEY, terminal="till-2")
    assert (found.kind, found.finding) == ("foreign", "it is the journal of till-1, not of till-2")
    assert verify_journal(path, KEY, terminal="till-1").whole


async def test_another_journals_anchor(path: Path, tmp_path: Path) -> None:
    async with await open_journal(tmp_path / "other.db"):
        pass
    anchor_path(tmp_path / "other.db").rename(anchor_path(path))
    assert verify_journal(path, KEY).kind == "foreign"


def test_without_an_anchor_it_says_so(path: Path) -> None:
    assert verify_journal(path, KEY).anchored
    anchor_path(path).unlink()
    found = verify_journal(path, KEY)
    assert (found.whole, found.anchored) == (True, False)


@pytest.mark.parametrize("cut", [100, 4096, 4 * 4096])
def test_a_file_that_is_cut_off(path: Path, cut: int) -> None:
    assert is_cut_off(path, KEY)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    if cut < 4096:
        assert verify_journal(path, KEY).kind == "truncation"
    else:
        with pytest.raises(JournalDamaged):
            verify_journal(path, KEY)
    assert is_cut_off(path, KEY)
    path.write_bytes(content[:500] + b"\0\0" + content[502:])
    assert not is_cut_off(path, KEY)


def test_a_checkpoint_whose_state_was_altered(path: Path) -> None:
    async def save() -> None:
        async with await open_journal(path) as journal:
            await journal.save_checkpoint(journal.head.seq, b"state")

    asyncio.run(save())
    tamper(path, "UPDATE checkpoint SET state = x'00'")
    found = verify_journal(path, KEY)
    assert (found.kind, found.first) == ("edit", 21)


def rewrite(path: Path, change: Callable[[int, dict[str, Any]], None]) -> None:
    """Alters records and chains all of them anew, as one who has the key and this software can."""
    connection = connect(path, KEY)
    connection.execute("DROP TRIGGER record_stays")
    prev = GENESIS
    for position, exact in connection.execute("SELECT position, exact FROM record ORDER BY position").fetchall():
        fields = msgspec.json.decode(exact)
        change(fields["seq"], fields)
        exact = msgspec.json.encode(fields)
        prev = link(prev, exact)
        connection.execute("UPDATE record SET exact = ?, hash = ? WHERE position = ?", (exact, prev, position))
    connection.close()


@pytest.mark.parametrize(
    ("field", "value", "seq"),
    [("seq", 99, 6), ("stream_seq", 5, 7), ("stream_prev", "00", 8), ("version", 2, 2), ("epoch", "e" * 32, 3)],
)
def test_a_chain_made_anew_must_still_follow(path: Path, field: str, value: object, seq: int) -> None:
    def change(number: int, fields: dict[str, Any]) -> None:
        if number == seq:
            fields[field] = value

    rewrite(path, change)
    finding = verify_journal(path, KEY).finding
    assert finding is not None
    assert finding.startswith(f"record {seq} does not follow: its {field}")


def test_the_streams_chain_holds_an_altered_body(path: Path) -> None:
    def change(number: int, fields: dict[str, Any]) -> None:
        if number == 4:
            fields["body"] = {"name": "other"}

    rewrite(path, change)
    assert verify_journal(path, KEY).finding == (
        verify_journal(path, KEY).finding
        and f"record 6 does not follow: its stream_prev is {_stream_prev(path, 6)}, not {_stream_chain(path, 4)}"
    )


async def test_a_checkpoint_that_knows_of_more(path: Path) -> None:
    async with await open_journal(path) as journal:
        await journal.append([money()], STAMP)
        await journal.save_checkpoint(journal.head.seq, b"state")
    tamper(path, f"DELETE FROM record WHERE position > {FIRST + 20}", "DELETE FROM outbox")
    assert verify_journal(path, KEY).finding == "records 21 to 22 are missing at the end"
    with pytest.raises(JournalDamaged, match="record 22 is not the one that the checkpoint names"):
        await open_journal(path)


async def test_a_checkpoint_of_something_else(path: Path) -> None:
    async with await open_journal(path) as journal:
        await journal.save_checkpoint(journal.head.seq, b"state")
    tamper(path, "UPDATE checkpoint SET tail = x'00'")
    finding = verify_journal(path, KEY).finding
    assert finding is not None
    assert finding.startswith("a checkpoint cannot be read")
    with pytest.raises(JournalDamaged, match="checkpoint cannot be read"):
        await open_journal(path)


async def test_a_broken_chain_is_not_sold_upon(path: Path) -> None:
    tamper(path, f"UPDATE record SET hash = zeroblob(32) WHERE position = {FIRST + 9}")
    with pytest.raises(JournalDamaged, match="record 9 does not fit"):
        await open_journal(path)


def test_an_epoch_begins_with_its_name(path: Path) -> None:
    def change(number: int, fields: dict[str, Any]) -> None:
        if number == 1:
            fields["body"] = {"type": "item_voided"}

    rewrite(path, change)
    assert verify_journal(path, KEY).finding == "record 1 does not open its epoch"


def test_every_altered_page_is_found(path: Path) -> None:
    content = path.read_bytes()
    pages = len(content) // 4096
    assert pages > 6
    for page in range(pages):
        altered = bytearray(content)
        altered[page * 4096 + 2_000] ^= 0x10
        path.write_bytes(altered)
        assert not _whole(path), f"page {page + 1}"
    path.write_bytes(content)
    assert _whole(path)


async def test_beside_a_running_writer(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await open_journal(path) as journal:
        appending = asyncio.ensure_future(_append_many(journal, 300))
        seen: list[Verification] = []
        while not appending.done():
            seen.append(await asyncio.to_thread(verify_journal, path, KEY))
        await appending
    assert all(found.whole for found in seen), [found.finding for found in seen]
    assert len({found.records for found in seen}) > 1
    assert verify_journal(path, KEY).records == 301


async def test_a_verification_leaves_no_trace_in_the_way(path: Path) -> None:
    verify_journal(path, KEY)
    async with await open_journal(path) as journal:
        await journal.append([money()], STAMP)
    assert verify_journal(path, KEY).records == 22


def test_records_are_shown_as_they_stand(path: Path) -> None:
    records = list(iter_records(path, KEY))
    assert [record.seq for record in records] == list(range(1, 22))
    line = msgspec.json.decode(record_line(records[6]))
    assert line.pop("hash") == records[6].hash.hex()
    assert line == msgspec.json.decode(records[6].exact)


async def _append_many(journal: Any, count: int) -> None:
    for index in range(count):
        await journal.append([money()], STAMP, key=str(index))


def _whole(path: Path) -> bool:
    try:
        return verify_journal(path, KEY).whole
    except JournalDamaged:
        return False


def _stream_prev(path: Path, seq: int) -> str:
    return next(open_record(record.exact).stream_prev for record in iter_records(path, KEY) if record.seq == seq)


def _stream_chain(path: Path, seq: int) -> str:
    """The chain of the stream that record `seq` belongs to, up to it, computed here from the stream's bytes alone."""
    records = list(iter_records(path, KEY))
    stream = open_record(records[seq - 1].exact).stream
    chain = GENESIS
    for record in records[:seq]:
        if open_record(record.exact).stream is stream:
            chain = link(chain, record.exact)
    return chain.hex()
