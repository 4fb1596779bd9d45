"""Tills with a real journal and a real forwarder, for tests and proofs; only their sales are made up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.entries import (
    AnyEntry,
    CashTendered,
    ItemAdded,
    TaxTotal,
    TenderTotal,
    TransactionCompleted,
    TransactionOpened,
    draft,
)
from core.ledger import Stamp
from core.window import Pacing
from fleet.keys import AckKey
from store.journal import SqlJournal
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.forwarder import Forwarder
from terminald.uplink import Uplink

HURRIED = Pacing(resend_after_s=0.5, resend_after_max_s=2.0)
DATABASE_KEY = bytes(range(48))


def make_key(seed: int) -> AckKey:
    """An Ed25519 key, the same for the same seed."""
    return AckKey(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def sale(number: int, amount_minor: int, *, items: int = 1) -> list[AnyEntry]:
    """The records of a cash sale."""
    opened = TransactionOpened(number=number, business_day="2026-11-22", currency="EUR")
    added = [
        ItemAdded(
            line=line, gtin="4006381333931", name="Pen", unit="each", quantity_milli=1000, unit_price_minor=amount_minor,
            amount_minor=amount_minor if line == 1 else 0, tax="A", entry_method="scanned",
        )
        for line in range(1, items + 1)
    ]  # fmt: skip
    completed = TransactionCompleted(
        number=number, business_day="2026-11-22", currency="EUR", lines=items, total_minor=amount_minor, change_minor=0,
        taxes=(TaxTotal(code="A", rate_bp=700, included=True, gross_minor=amount_minor, net_minor=amount_minor,
                        tax_minor=0),),
        tenders=(TenderTotal(kind="CASH", amount_minor=amount_minor),),
    )  # fmt: skip
    return [opened, *added, CashTendered(tender=1, amount_minor=amount_minor), completed]


class Till:
    """A terminal's journal with its forwarder, and the tally of what was sold."""

    def __init__(self, name: str, journal: SqlJournal, key: AckKey, clock: SystemClock) -> None:
        self.name = name
        self.journal = journal
        self.key = key
        self.clock = clock
        self.tally: dict[int, int] = {}

    async def sell(self, amount_minor: int, *, items: int = 1) -> int:
        """One sale, durable; its number."""
        number = len(self.tally) + 1
        entries = sale(number, amount_minor, items=items)
        await self.journal.append([draft(entry) for entry in entries], self.stamp())
        self.tally[number] = amount_minor
        return number

    async def sell_many(self, count: int, rng: Random, *, group: int = 100) -> None:
        """Many sales, several in one commit."""
        while count > 0:
            drafts = []
            for _ in range(min(group, count)):
                number, amount_minor = len(self.tally) + 1, rng.randint(1, 9999)
                drafts += [draft(entry) for entry in sale(number, amount_minor)]
                self.tally[number] = amount_minor
                count -= 1
            await self.journal.append(drafts, self.stamp())

    def stamp(self) -> Stamp:
        """Now."""
        return self.clock.stamp()

    def forwarder(self, ack_key: bytes, *, seed: int = 1) -> Forwarder:
        """A forwarder of this journal, in more of a hurry than a till on a mobile network may be."""
        return Forwarder(
            terminal=self.name, journal=self.journal, signer=self.key, ack_key=ack_key, clock=self.clock,
            random=Random(seed), pacing=HURRIED,
        )  # fmt: skip

    def uplink(self, forwarder: Forwarder, url: str, *, seed: int = 1) -> Uplink:
        """A connection for the forwarder alone."""
        return Uplink(
            brokers=[parse_url(url)], client_id=self.name, users=[forwarder], clock=self.clock, random=Random(seed)
        )


@contextlib.asynccontextmanager
async def open_till(folder: Path, name: str = "till-3", *, seed: int = 3) -> AsyncIterator[Till]:
    """A till whose journal lies in `folder`."""
    clock, key = SystemClock(), make_key(seed)
    journal = await SqlJournal.open(
        folder / f"{name}.db", DATABASE_KEY, terminal=name, signing_key=key.public_key, stamp=clock.stamp()
    )
    async with journal:
        yield Till(name, journal, key, clock)


async def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Returns when the condition holds; raises TimeoutError where it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
