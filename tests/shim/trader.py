"""A till that trades by chance into a real journal, and says all that an oracle outside needs to judge it by.

``python -m tests.shim.trader FOLDER STEPS --seed N`` does the steps that its journal does not hold yet, up to STEPS. What
each step is follows from its number alone; how they come (one by one or together, with pauses, explicit syncs, answers of
headquarters, checkpoints, closing and opening again) is drawn from the seed. It prints, each line before anything else
happens:

``ask K``         steps up to K (not included) have been asked of the journal
``ack K HASH``    the journal has acknowledged the step K, a record with this hash
``synced K``      the journal said that all steps up to K (not included) are on the medium

A `Fault` makes a till or a journal that is wrong in one way: what looks for such faults must find these.
"""

import argparse
import asyncio
import enum
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

import store.records
from core.ledger import Draft, Record, Stream, open_record
from core.ports import JournalError
from store.journal import SqlJournal
from store.keys import KeyFile, TerminalSigner
from store.wal import Wal
from store.writer import ThreadWriter, WriterFactory
from tests.shim.seller import STAMP

FRAMES_WARM = 24
"""A log so small that it starts over every few sales."""
SYNC_DELAY_S = 0.02
TOGETHER_MAX = 4
JOURNAL = "journal.db"
REFUSED = 70


class Fault(enum.StrEnum):
    """One way to be wrong."""

    NORMAL = "normal"  # synchronous=NORMAL: what moves money is not flushed either
    OFF = "off"  # synchronous=OFF: nothing is ever flushed
    UNSYNCED_COPY = "unsynced-copy"  # commits are flushed; the log is copied into the database without a flush
    EARLY_ACK = "early-ack"  # acknowledges before the commit
    RETRY = "retry"  # tries a failed flush again
    IGNORE = "ignore"  # takes a failed flush for a good one
    NO_REWRITE = (
        "no-rewrite"  # starts from the log in the page cache, as a process before left it, without writing it anew
    )


class Step(msgspec.Struct, frozen=True):
    """The body of a step's record."""

    step: int
    goods: str = ""


def is_durable(number: int) -> bool:
    """Whether a step moves money: the last of each three."""
    return number % 3 == 2


async def open_till(folder: Path, writer: WriterFactory) -> SqlJournal:
    """Opens a terminal's journal as the daemon does, with keys and signer; at first boot all are made."""
    path = folder / JOURNAL
    keys = KeyFile(folder / "journal.key").load_or_make([path])
    signer = TerminalSigner.open(folder / "signing.key", keys, [path])
    return await SqlJournal.open(
        path,
        keys.journal,
        terminal="till-1",
        signing_key=signer.public_key,
        stamp=STAMP,
        writer=writer,
        sync_delay_s=SYNC_DELAY_S,
        frames_warm=FRAMES_WARM,
    )


def step_of(record: Record) -> int | None:
    """The number of the step that a record is of."""
    envelope = open_record(record.exact)
    return msgspec.json.decode(envelope.body, type=Step).step if envelope.stream is Stream.SALES else None


def drafts_of(number: int) -> list[Draft]:
    """The records of a step: its own, and for some one of another stream."""
    goods = "x" * Random(number).choice((40, 300, 300, 900, 6_000))
    own = Draft(stream=Stream.SALES, body=msgspec.json.encode(Step(number, goods)), moves_money=is_durable(number))
    beside = Draft(stream=Stream.TECHNICAL, body=msgspec.json.encode({"about": number}), moves_money=False)
    return [own, beside] if number % 5 == 0 else [own]


def key_of(number: int) -> str | None:
    """The idempotency key of a step."""
    return f"step-{number}" if is_durable(number) else None


@dataclass(slots=True)
class Trader:
    """Trades in a folder until `steps` are done."""

    folder: Path
    steps: int
    random: Random
    writer: WriterFactory = ThreadWriter
    fault: Fault | None = None
    _seqs: list[tuple[int, int]] = field(default_factory=list)
    _told: int = 0

    async def run(self) -> None:
        """Opens the journal, trades, closes it; again and again."""
        while await self._session():
            pass

    async def _session(self) -> bool:
        """One opening of the journal; whether there is more to do."""
        async with await open_till(self.folder, self.writer) as journal:
            if self.fault in (Fault.OFF, Fault.UNSYNCED_COPY):
                _pragma(journal, "synchronous = OFF")
            self._seqs = []
            async for record in journal.replay():
                if (number := step_of(record)) is not None:
                    self._seqs.append((number, record.seq))
            _check([number for number, _ in self._seqs] == list(range(len(self._seqs))), "the steps are not in order")
            self._told = len(self._seqs)
            done = len(self._seqs)
            while done < self.steps:
                together = min(self.random.randint(1, TOGETHER_MAX), self.steps - done)
                await self._do(journal, range(done, done + together))
                done += together
                await self._between(journal)
                if self.random.random() < 0.04:
                    break
        return done < self.steps

    async def _do(self, journal: SqlJournal, numbers: range) -> None:
        _say(f"ask {numbers.stop}")
        if self.fault is Fault.EARLY_ACK:
            for number in numbers:
                _say(f"ack {number} ")
        async with asyncio.TaskGroup() as tasks:
            for number in numbers:
                tasks.create_task(self._append(journal, number), name=f"step-{number}")
        self._tell_synced(journal)

    async def _append(self, journal: SqlJournal, number: int) -> None:
        key = key_of(number)
        record, *_ = await journal.append(drafts_of(number), STAMP, key=key)
        self._seqs.append((number, record.seq))
        if self.fault is not Fault.EARLY_ACK:
            _say(f"ack {number} {record.hash.hex()}")

    async def _between(self, journal: SqlJournal) -> None:
        """What a till does beside selling."""
        match self.random.randrange(12):
            case 0:
                await journal.sync()
            case 1:
                await asyncio.sleep(SYNC_DELAY_S * 1.5)  # long enough for the flush that a basket is owed
            case 2:
                await journal.acknowledge(journal.head.epoch, journal.synced.seq, b"ack")
            case 3:
                await journal.save_checkpoint(journal.head.seq, b"state" * self.random.randint(1, 1_000))
            case 4:
                number = self.random.randrange(self.steps)
                key = key_of(number)
                found = await journal.find(key) if key else None
                known = number < len(self._seqs)
                _check(key is None or (found is not None) == known, "a key does not tell the truth")
        self._tell_synced(journal)

    def _tell_synced(self, journal: SqlJournal) -> None:
        synced = journal.synced.seq
        count = max([number + 1 for number, seq in self._seqs if seq <= synced], default=0)
        if count > self._told:
            self._told = count
            _say(f"synced {count}")


def mutate(fault: Fault | None) -> None:
    """Makes this process's store wrong. It is a mutant for proofs to catch; nothing else may call this."""
    if fault in _LOGS:
        inside = vars(store.records)
        assert inside["Wal"] is Wal, "the store has its log from elsewhere: the mutants must follow"
        inside["Wal"] = _LOGS[fault]


class _Unflushed(Wal):
    def sync(self) -> None:
        pass


class _Retrying(Wal):
    def sync(self) -> None:
        try:
            super().sync()
        except OSError:
            super().sync()


class _Ignoring(Wal):
    def sync(self) -> None:
        try:
            super().sync()
        except OSError:
            pass


class _Trusting(Wal):
    def harden(self, frames: int) -> None:
        self.sync()


_LOGS: dict[Fault | None, type[Wal]] = {
    Fault.NORMAL: _Unflushed,
    Fault.OFF: _Unflushed,
    Fault.RETRY: _Retrying,
    Fault.IGNORE: _Ignoring,
    Fault.NO_REWRITE: _Trusting,
}


def _pragma(journal: SqlJournal, text: str) -> None:
    journal._opened._connection.execute(f"PRAGMA {text}")


def _check(right: bool, what: str) -> None:
    if not right:
        raise AssertionError(what)


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def trade(folder: Path, steps: int, seed: int, writer: WriterFactory = ThreadWriter, fault: Fault | None = None) -> int:
    """Trades until all steps are done; the status that the process ends with."""
    mutate(fault)
    try:
        asyncio.run(Trader(folder, steps, Random(seed), writer, fault).run())
    except (JournalError, OSError, ExceptionGroup) as error:
        refusals = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        if not all(isinstance(each, JournalError | OSError) for each in refusals):
            raise
        for each in refusals:
            print(f"{getattr(each, 'code', type(each).__name__)}: {each}", file=sys.stderr, flush=True)
        return REFUSED
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", type=Fault)
    given = parser.parse_args()
    return trade(given.folder, given.steps, given.seed, ThreadWriter, given.fault)


if __name__ == "__main__":
    sys.exit(main())
