"""R8: whatever happens to a journal's pages, log or file, a verification finds it and names the records; so does a start.

A till's journal grows over several runs, and each run leaves a copy of the file. Then each is done to a copy of its own:

- **a** a bit is flipped in each page of the file;
- **b** the log of a killed till is cut, or one of its bits flipped, behind each frame that was flushed but the last;
- **c** each page is exchanged for each older version of it, where that changes anything;
- **d** the file is exchanged for each older one; and the same with the log left in place;
- **e** a start, after each of b and d, and after a flip in each page that holds a record of after the last checkpoint.

What is missing is told beforehand by reading every record alone, which the verification does not do. Two mutants go
through the same: a verification that does not look at the anchor, and one that checks nothing but the chain's hashes.
"""

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import TransactionOpened, draft
from core.ledger import GENESIS, ClockQuality, Draft, Stamp, Stream, link
from store.anchor import anchor_path
from store.chain import SEQ_BITS
from store.database import KEY_BYTES, PAGE_BYTES, connect
from store.epochs import SEQ_MASK, Founding
from store.errors import JournalError
from store.findings import Verification
from store.records import Acknowledge, Append, RecordStore, SaveCheckpoint
from store.verify import verify_journal
from tests.proofs.registry import Proof, Result, Scale

KEY = bytes(range(KEY_BYTES))
STAMP = Stamp(time_ms=1_700_000_000_000, clock=ClockQuality.NTP, boot="0123456789abcdef", mono_ms=1)
FOUNDING = Founding(terminal="till-1", signing_key=bytes(32), stamp=STAMP)
_FRAME_BYTES = 24 + PAGE_BYTES
_LOG_HEADER_BYTES = 32

Range = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Till:
    """What is damaged: `whole` a folder at rest, `older` its copies by age, `killed` one with its log, and where in that
    log each flush ended: (frames, seq)."""

    whole: Path
    older: list[Path]
    killed: Path
    flushed: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing done to a copy of a folder; `missing` is what must be named, where it can be told beforehand."""

    part: str
    what: str
    folder: Path
    spoil: Callable[[Path], None]
    missing: Range = None
    boots: bool = False


def run(scale: Scale) -> Iterator[Result]:
    """All damages of each part; then the mutants over the same."""
    with tempfile.TemporaryDirectory(prefix="terminald-r8-", dir=_memory()) as name:
        till = _make(
            Path(name),
            runs=scale.pick(smoke=2, commit=5, release=12),
            sales=scale.pick(smoke=4, commit=25, release=150),
        )
        damages = list(_damages(till))
        chosen = damages if scale is not Scale.SMOKE else random.Random(8).sample(damages, 12)
        tally = _Tally()
        for number, damage in enumerate(chosen):
            _judge(damage, Path(name, f"case-{number}"), tally)
    for fault in tally.faults[:10]:
        print(f"R8: {fault}", file=sys.stderr)
    counts = ", ".join(f"{part} {count}" for part, count in sorted(tally.counts.items()))
    caught = all(tally.missed.values())
    mutants = ", ".join(f"{mutant} missed {count}" for mutant, count in tally.missed.items())
    found = sum(tally.counts.values())
    yield Result(
        figure=100.0 * (found - len(tally.faults)) / found,
        goal=100.0,
        holds=not tally.faults and found > 0 and caught,
        what=f"% of {found} damages found and named ({counts}; {tally.idle} changed nothing); mutants: {mutants}",
        reason="; ".join(tally.faults[:3]) or ("" if caught else f"a mutant missed nothing: {mutants}"),
    )


PROOFS = [Proof(id="R8", title="corruption, rollback and cuts are found and named", run=run)]


def _memory() -> Path | None:
    """A folder in memory, where there is one: how long a medium takes is not what is looked at."""
    place = Path("/dev/shm")
    return place if place.is_dir() else None


class _Tally:
    """What came of it."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.faults: list[str] = []
        self.idle = 0
        self.missed = {"no anchor": 0, "hashes alone": 0}


# --- the till ----------------------------------------------------------------------------------------------------


def _make(folder: Path, *, runs: int, sales: int) -> Till:
    rng = random.Random(1)
    whole = folder / "whole"
    whole.mkdir()
    older = []
    for number in range(runs):
        store = _open(whole)
        for _ in range(sales):
            _sell(store, rng)
        store.commit([SaveCheckpoint(store.head.seq, rng.randbytes(rng.choice((300, 9_000))).hex().encode())])
        _sell(store, rng)
        store.close()
        if number < runs - 1:
            older.append(_copy(whole, folder / f"older-{number}"))
    killed, flushed = _copy(whole, folder / "running"), []
    store = _open(killed)
    for _ in range(sales):
        _sell(store, rng)
        flushed.append((_frames(killed / "journal.db-wal"), store.synced.seq))
    left = _copy(killed, folder / "killed")
    store.abandon()
    return Till(whole=whole, older=older, killed=left, flushed=flushed)


def _open(folder: Path) -> RecordStore:
    return RecordStore(folder / "journal.db", KEY, FOUNDING, frames_warm=4_096)


def _sell(store: RecordStore, rng: random.Random) -> None:
    number = store.head.seq
    key = f"order-{rng.getrandbits(64):016x}" if rng.random() < 0.7 else None
    opened = draft(TransactionOpened(number=number, business_day="2026-11-22", currency="EUR"))
    store.commit([Append((opened, _line(rng, moves_money=False)), STAMP, None)])
    store.commit([Append(tuple(_line(rng, moves_money=True) for _ in range(rng.randint(1, 4))), STAMP, key)])
    store.rest()
    if rng.random() < 0.3:
        store.commit([Acknowledge(store.head.epoch, store.synced.seq, b"ack" * rng.randint(1, 300))])
        store.rest()


def _line(rng: random.Random, *, moves_money: bool) -> Draft:
    body = b'{"type":"x","pad":"%s"}' % rng.randbytes(rng.randint(20, 400)).hex().encode()
    return Draft(stream=rng.choice(list(Stream)), body=body, moves_money=moves_money)


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    (target / "journal.db-shm").unlink(missing_ok=True)
    return target


def _frames(log: Path) -> int:
    """How many frames of a log count: their salts are those of its header."""
    content = log.read_bytes()
    salts, count = content[16:24], 0
    for at in range(_LOG_HEADER_BYTES, len(content), _FRAME_BYTES):
        if content[at + 8 : at + 16] != salts:
            break
        count += 1
    return count


# --- what is done to it ------------------------------------------------------------------------------------------


def _damages(till: Till) -> Iterator[Damage]:
    rng = random.Random(2)
    file = (till.whole / "journal.db").read_bytes()
    for page in range(len(file) // PAGE_BYTES):
        at = page * PAGE_BYTES + rng.randrange(16 if page == 0 else 0, PAGE_BYTES)
        yield Damage("a", f"flip in page {page + 1}", till.whole, _flip("journal.db", at), boots=True)
    last = till.flushed[-1][1]
    for frames, seq in till.flushed[:-1]:
        end = _LOG_HEADER_BYTES + frames * _FRAME_BYTES
        gone = (seq + 1, last)
        yield Damage("b", f"log cut behind frame {frames}", till.killed, _cut("journal.db-wal", end), gone, boots=True)
        yield Damage(
            "b", f"flip in frame {frames + 1}", till.killed, _flip("journal.db-wal", end + 600), gone, boots=True
        )
    for age, older in enumerate(till.older):
        before = (older / "journal.db").read_bytes()
        for page in range(min(len(before), len(file)) // PAGE_BYTES):
            here = slice(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
            if before[here] != file[here]:
                yield Damage("c", f"page {page + 1} of run {age}", till.whole, _put("journal.db", here, before[here]))
        reached = _reached(older)
        for source in (till.whole, till.killed):
            gone = (reached + 1, _reached(till.whole) if source is till.whole else last)
            spoil = _exchange(older, log=source is till.killed)
            yield Damage("d", f"file of run {age}", source, spoil, gone if source is till.whole else None, boots=True)


def _flip(name: str, at: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << at % 8]))

    return spoil


def _cut(name: str, size: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return spoil


def _put(name: str, where: slice, content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.seek(where.start)
            file.write(content)

    return spoil


def _exchange(older: Path, *, log: bool) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        shutil.copy(older / "journal.db", folder / "journal.db")
        if not log:
            (folder / "journal.db-wal").unlink(missing_ok=True)

    return spoil


# --- judging -----------------------------------------------------------------------------------------------------


def _judge(damage: Damage, folder: Path, tally: _Tally) -> None:
    """Does one damage, and looks whether verification, start and mutants find it."""
    truth = _alone(damage.folder / "journal.db")
    _copy(damage.folder, folder)
    damage.spoil(folder)
    path = folder / "journal.db"
    left = _alone(path)
    if damage.part == "c" and _contents(path) == _contents(damage.folder / "journal.db"):
        tally.idle += 1
        return
    tally.counts[damage.part] = tally.counts.get(damage.part, 0) + 1
    missing = damage.missing or _first_missing(truth, left)
    found = _verify(path)
    if found is None or found.whole:
        if found is not None:
            tally.faults.append(f"{damage.what}: not found")
    elif missing is not None and not _names(found, missing, max(truth) & SEQ_MASK):
        tally.faults.append(
            f"{damage.what}: {missing} are missing, and it says {found.first} to {found.last}: {found.finding}"
        )
    tally.missed["hashes alone"] += _hashes_alone(path)
    away = anchor_path(path).rename(folder / "away")
    blind = _verify(path)
    tally.missed["no anchor"] += blind is not None and blind.whole
    away.rename(anchor_path(path))
    if damage.boots:
        _boot(damage, folder, truth, left, tally)


def _verify(path: Path) -> Verification | None:
    """What it finds; None where it cannot even open the file and says so."""
    try:
        return verify_journal(path, KEY, terminal="till-1")
    except JournalError:
        return None


def _names(found: Verification, missing: tuple[int, int], end: int) -> bool:
    """Whether it names the range; what goes on to the end may be named as that."""
    return found.first == missing[0] and (found.last == missing[1] or (found.last is None and missing[1] >= end))


def _boot(damage: Damage, folder: Path, truth: dict[int, bytes], left: dict[int, bytes], tally: _Tally) -> None:
    """A start after a rollback or a cut goes on in another epoch; after damage to the tail it says so and does not sell."""
    in_tail = damage.part == "a" and any(
        position not in left and position & SEQ_MASK > _checkpointed(damage.folder) for position in truth
    )
    if damage.part == "a" and not in_tail:
        return
    tally.counts["e"] = tally.counts.get("e", 0) + 1
    try:
        store = _open(folder)
    except JournalError:
        return
    said = store.opened
    store.close()
    if said is None or said.reason not in ("rollback", "fork"):
        tally.faults.append(f"{damage.what}: a start does not find it")


def _alone(path: Path) -> dict[int, bytes]:
    """Each record that can be read, by position: every one is asked for by itself, on a connection of its own if need be."""
    found: dict[int, bytes] = {}
    connection: Any = None
    for position in range(1 << SEQ_BITS | 1, (1 << SEQ_BITS | 1) + _POSITIONS):
        try:
            connection = connection or connect(path, KEY, mode="ro")
            row = connection.execute("SELECT exact FROM record WHERE position = ?", (position,)).fetchone()
        except sqlcipher.Error:
            if connection is None:
                return {}
            connection.close()
            connection = None
            continue
        if row is not None:
            found[position] = row[0]
    connection and connection.close()
    return found


_POSITIONS = 2_000


def _first_missing(truth: dict[int, bytes], left: dict[int, bytes]) -> Range:
    """The first range of records that are not there any more."""
    gone = [position & SEQ_MASK for position in sorted(truth) if left.get(position) != truth[position]]
    if not gone:
        return None
    last = gone[0]
    for seq in gone[1:]:
        if seq != last + 1:
            break
        last = seq
    return gone[0], last


def _contents(path: Path) -> object:
    """All rows of all tables, and whether the pages hang together; the error where they cannot be read."""
    try:
        connection = connect(path, KEY, mode="ro")
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        schema = connection.execute("SELECT type, name, rootpage, sql FROM sqlite_schema").fetchall()
        state = connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
    except sqlcipher.Error as error:
        return str(error)
    return rows, schema, state


def _reached(folder: Path) -> int:
    connection = connect(folder / "journal.db", KEY, mode="ro")
    (position,) = connection.execute("SELECT max(position) FROM record").fetchone()
    connection.close()
    return int(position & SEQ_MASK)


def _checkpointed(folder: Path) -> int:
    connection = connect(folder / "journal.db", KEY, mode="ro")
    (seq,) = connection.execute("SELECT max(tail_seq) FROM checkpoint").fetchone()
    connection.close()
    return int(seq)


def _hashes_alone(path: Path) -> bool:
    """The mutant that checks nothing but hashes: whether it takes the journal for whole."""
    try:
        connection = connect(path, KEY, mode="ro")
        rows = connection.execute("SELECT exact, hash FROM record ORDER BY position").fetchall()
        connection.close()
    except sqlcipher.Error:
        return False
    prev = GENESIS
    for exact, hash_ in rows:
        if link(prev, exact) != hash_:
            return False
        prev = hash_
    return True
