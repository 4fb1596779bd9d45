"""Chains of records without a journal, for tests of what comes after it."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from core.entries import AnyEntry, CashTendered, EpochOpened, TaxTotal, TenderTotal, TransactionCompleted, encode
from core.ledger import GENESIS, ClockQuality, Envelope, Head, Record, Stream, seal
from tests.tills import make_key

TERMINAL = "till-3"
KEY = make_key(3)


def completed(number: int, amount_minor: int, *, kind: str = "CASH", currency: str = "EUR") -> TransactionCompleted:
    """A completed sale."""
    return TransactionCompleted(
        number=number, business_day="2026-11-22", currency=currency, lines=1, total_minor=amount_minor, change_minor=0,
        taxes=(TaxTotal(code="A", rate_bp=700, included=True, gross_minor=amount_minor, net_minor=amount_minor,
                        tax_minor=0),),
        tenders=(TenderTotal(kind=kind, amount_minor=amount_minor),),
    )  # fmt: skip


def chain(
    entries: Iterable[AnyEntry], *, terminal: str = TERMINAL, salt: str = "", signing_key: bytes = KEY.public_key
) -> list[Record]:
    """An epoch that begins as a journal's does; its name comes from `terminal` and `salt`."""
    epoch = sha256((terminal + salt).encode()).hexdigest()[:32]
    opened = EpochOpened(terminal=terminal, reason="made", signing_key=signing_key.hex())
    return follow(Head(epoch=epoch, seq=0, hash=GENESIS), [encode(entry) for entry in (opened, *entries)])


def follow(head: Head, bodies: Sequence[bytes]) -> list[Record]:
    """Records with these bodies, after a head."""
    records: list[Record] = []
    for seq, body in enumerate(bodies, head.seq + 1):
        entry = msgspec.json.decode(body)
        envelope = Envelope(
            version=1, epoch=head.epoch, seq=seq, stream=Stream.TECHNICAL if entry["type"] == "epoch_opened" else Stream.SALES,
            stream_seq=seq, stream_prev="", time_ms=1_700_000_000_000 + seq, clock=ClockQuality.NTP, boot="0" * 16,
            mono_ms=seq, body=msgspec.Raw(body),
        )  # fmt: skip
        records.append(seal(envelope, records[-1].hash if records else head.hash))
    return records


def sales(count: int) -> list[AnyEntry]:
    """So many completed sales, each with its tender; number n takes n minor units."""
    return [
        entry
        for number in range(1, count + 1)
        for entry in (CashTendered(tender=1, amount_minor=number), completed(number, number))
    ]


def head_of(record: Record) -> Head:
    """The head at a record."""
    return Head(epoch=record.epoch, seq=record.seq, hash=record.hash)


def start_of(records: Sequence[Record]) -> Head:
    """The head before an epoch's first record."""
    return Head(epoch=records[0].epoch, seq=0, hash=GENESIS)
