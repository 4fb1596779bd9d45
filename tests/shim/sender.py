"""A small till that sells and forwards: a real journal, a real connection to a broker, and headquarters' signed answers.

``python -m tests.shim.sender FOLDER SALES --broker URL --ack-key HEX --terminal ID`` does the sales that its journal
does not hold yet, one at a time so that each becomes a batch of its own, and ends once headquarters has signed for all.
`Fault` makes a forwarder that is wrong in one way: what looks for such faults must find it.
"""

import argparse
import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from core.entries import draft
from core.ledger import Head, Stream, open_record
from core.window import Window
from store.journal import SqlJournal
from store.keys import KeyFile, TerminalSigner
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.forwarder import Forwarder
from terminald.mqtt import Connection
from terminald.uplink import Uplink
from tests.tills import HURRIED, sale

LOOK_S = 0.005
PATIENCE_S = 30.0


class Fault(enum.StrEnum):
    """One way to be wrong."""

    MARKS_ON_PUBLISH = "marks-on-publish"  # takes for delivered what it is about to hand to the broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Under which name a till forwards, by which broker, and whose answers it believes."""

    terminal: str
    broker: str
    ack_key: str


class Sender:
    """The till at work. Made by `start`."""

    def __init__(self, journal: SqlJournal, forwarder: Forwarder) -> None:
        self.journal = journal
        self.forwarder = forwarder

    async def finish(self, sales: int) -> None:
        """Does the sales that are missing, and waits until headquarters has all. Raises TimeoutError."""
        done = sum([is_completed(record.exact) async for record in self.journal.replay()])
        for number in range(done + 1, sales + 1):
            await self.journal.append([draft(entry) for entry in sale(number, price_minor(number))], _clock.stamp())
            self.forwarder.notify()
            await self._until_delivered()
        await self._until_delivered()

    async def _until_delivered(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.forwarder.acknowledged_seq < self.journal.synced.seq:
                await asyncio.sleep(LOOK_S)


def price_minor(number: int) -> int:
    """What the sale of this number costs."""
    return 100 + 7 * number


def is_completed(exact: bytes) -> bool:
    """Whether a record is a completed sale's."""
    envelope = open_record(exact)
    return envelope.stream is Stream.SALES and b'"transaction_completed"' in bytes(envelope.body)


@contextlib.asynccontextmanager
async def start(folder: Path, route: Route, fault: Fault | None = None) -> AsyncIterator[Sender]:
    """Starts as a terminal does, with or without files, and forwards while the block runs."""
    path = folder / "journal.db"
    keys = KeyFile(folder / "journal.key").load_or_make([path])
    signer = TerminalSigner.open(folder / "signing.key", keys, [path])
    async with await SqlJournal.open(
        path, keys.journal, terminal=route.terminal, signing_key=signer.public_key, stamp=_clock.stamp()
    ) as journal:
        forwarder = (MarksOnPublish if fault is Fault.MARKS_ON_PUBLISH else Forwarder)(
            terminal=route.terminal,
            journal=journal,
            signer=signer,
            ack_key=bytes.fromhex(route.ack_key),
            clock=_clock,
            random=Random(1),
            pacing=HURRIED,
        )
        await forwarder.load()
        uplink = Uplink(
            brokers=[parse_url(route.broker)],
            client_id=route.terminal,
            users=[forwarder],
            clock=_clock,
            random=Random(1),
        )
        task = asyncio.create_task(uplink.run(), name="uplink")
        try:
            yield Sender(journal, forwarder)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class MarksOnPublish(Forwarder):
    """A mutant: keeps the mark of a batch, and then hands it to the broker. What headquarters says does not matter."""

    @property
    def acknowledged_seq(self) -> int:
        return self._window.sent.seq if self._window and not self._window.flights else 0

    async def _take_acks(self) -> None:
        self._acks.clear()

    async def _fill(self) -> None:
        await super()._fill()
        if self._window is not None and self._window.flights:
            await self._journal.acknowledge(self._window.sent.epoch, self._window.sent.seq, b"believed")

    def _send(self, connection: Connection) -> None:
        super()._send(connection)
        if self._window is not None:
            self._window._flights.clear()

    async def _open_window(self, epoch: str) -> Window:
        kept = await self._journal.acknowledged(epoch)
        seq = kept.seq if kept is not None else 0
        hash_ = await self._hash_at(epoch, seq)
        assert hash_ is not None
        return Window(Head(epoch=epoch, seq=seq, hash=hash_), 0, self._pacing)


_clock = SystemClock()


async def _main(folder: Path, sales: int, route: Route, fault: Fault | None) -> None:
    async with start(folder, route, fault) as sender:
        await sender.finish(sales)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sales", type=int)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--ack-key", required=True)
    parser.add_argument("--terminal", required=True)
    parser.add_argument("--fault", type=Fault)
    arguments = parser.parse_args()
    asked = Route(terminal=arguments.terminal, broker=arguments.broker, ack_key=arguments.ack_key)
    asyncio.run(_main(arguments.folder, arguments.sales, asked, arguments.fault))
