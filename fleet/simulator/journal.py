"""What simulated terminals sell, as a function: any record of any terminal can be made again at any time.

So a terminal keeps no records, however long its backlog is. Its sales have a time each; what its journal holds at a moment
are the sales whose time has come. Bodies, chains and hashes are those of a till.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.entries import (
    AnyEntry,
    CashTendered,
    EpochOpened,
    ItemAdded,
    TaxTotal,
    TenderTotal,
    TransactionCompleted,
    TransactionOpened,
    encode,
)
from core.ledger import GENESIS, ClockQuality, Envelope, Head, Record, Stream, link, seal
from core.topics import check_terminal

DAY_HOURS = 10
"""How long a shop of the backlog was open each day."""
LINES = 3
CURRENCY = "EUR"
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_OWN_RECORDS = 3
"""Of a sale beside its lines: it is opened, paid and completed."""
_GTIN = "4006381333931"
_RATE_BP = 1900
_WORD = (1 << 64) - 1


class Place(msgspec.Struct, frozen=True):
    """A place in a terminal's journal: the last record before it, the hash there and the sales' own chain's."""

    seq: int
    hash: bytes
    sales_hash: bytes


START = Place(0, GENESIS, GENESIS)


@dataclass(kw_only=True)
class Plan:
    """What all terminals of a run have in common. `begins_ms` is when it begins, `ends_ms` when the last sale may be made
    (Unix milliseconds; it may be brought forward); the backlog was sold in the days before."""

    run: str
    seed: int
    terminals: int
    sales_per_hour: float
    begins_ms: int
    ends_ms: int
    backlog_days: float = 0.0
    lines: int = LINES

    def __post_init__(self) -> None:
        check_terminal(self.name(self.terminals))

    @property
    def records_a_sale(self) -> int:
        """Of each."""
        return self.lines + _OWN_RECORDS

    @cached_property
    def backlog_sales(self) -> int:
        """Of each terminal, before the run."""
        return round(self.backlog_days * DAY_HOURS * self.sales_per_hour)

    def name(self, number: int) -> str:
        """The id of the nth terminal (from 1)."""
        return f"sim-{self.run}-{number:05d}"

    def sold(self, number: int, now_ms: float) -> int:
        """How many sales a terminal has made by a moment."""
        now_ms = min(now_ms, self.ends_ms)
        if not self.sales_per_hour or now_ms < self.begins_ms:
            return self.backlog_sales
        whole = int((now_ms - self.begins_ms) * self.sales_per_hour / _HOUR_MS)
        last = self.backlog_sales + whole + 1
        return last if self.time_ms(number, last) <= now_ms else last - 1

    def time_ms(self, number: int, sale: int) -> int:
        """When a terminal's nth sale (from 1) is made: one in each interval, at a moment of chance."""
        if sale > self.backlog_sales:
            interval_ms = _HOUR_MS / self.sales_per_hour
            chance = self._chance(number, sale, 0) / _WORD
            return self.begins_ms + int((sale - self.backlog_sales - 1 + chance) * interval_ms)
        hours = (sale - 0.5) / self.sales_per_hour
        days, hour = divmod(hours, DAY_HOURS)
        return int(self.begins_ms - (self.backlog_days - days) * _DAY_MS + hour * _HOUR_MS)

    def prices_minor(self, number: int, sale: int) -> tuple[int, ...]:
        """The amounts of a sale's lines."""
        return tuple(1 + self._chance(number, sale, line) % 2999 for line in range(1, self.lines + 1))

    def total_minor(self, number: int, sale: int) -> int:
        """What a sale comes to."""
        return sum(self.prices_minor(number, sale))

    def _chance(self, number: int, sale: int, place: int) -> int:
        """64 bits of chance, the same for the same place [Steele, Lea, Flood: SplitMix, OOPSLA 2014]."""
        z = (self.seed + number * 0x9E3779B97F4A7C15 + sale * 0xD1B54A32D192ED03 + place * 0x8CB92BA72F3D8DD7) & _WORD
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _WORD
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _WORD
        return z ^ z >> 31


class SimulatedJournal:
    """One terminal's records, made when they are asked for. `sign` signs with its key (64 bytes)."""

    __slots__ = ("_boot", "_opened", "_plan", "epoch", "name", "number", "sign")

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan = plan
        self.number = number
        self.name = plan.name(number)
        secret = sha256(f"terminald/simulated\0{plan.seed}\0{self.name}".encode()).digest()
        private = Ed25519PrivateKey.from_private_bytes(secret)
        self.sign = private.sign
        self.epoch = sha256(secret + b"epoch").hexdigest()[:32]
        self._boot = self.epoch[:16]
        opened = EpochOpened(
            terminal=self.name, reason="made", signing_key=private.public_key().public_bytes_raw().hex()
        )
        self._opened = encode(opened)

    def reaches(self, sales: int) -> int:
        """The last record once so many sales were made."""
        return 1 + sales * self._plan.records_a_sale

    def sales_to(self, seq: int) -> int:
        """How many sales are whole up to a record."""
        return max(seq - 1, 0) // self._plan.records_a_sale

    def head(self, place: Place) -> Head:
        """The chain's head at a place."""
        return Head(epoch=self.epoch, seq=place.seq, hash=place.hash)

    def read(self, place: Place, count: int) -> tuple[list[Record], list[Place]]:
        """So many records after a place, and the places after each. Whoever asks knows how far the journal reaches."""
        records: list[Record] = []
        places: list[Place] = []
        bodies: Sequence[bytes] = ()
        time_ms = sale = 0
        for seq in range(place.seq + 1, place.seq + 1 + count):
            if seq == 1:
                record = self._seal(place, self._opened, self._plan.begins_ms, Stream.TECHNICAL, 1)
                place = Place(1, record.hash, place.sales_hash)
            else:
                index, step = divmod(seq - 2, self._plan.records_a_sale)
                if index + 1 != sale:
                    sale = index + 1
                    time_ms = self._plan.time_ms(self.number, sale)
                    bodies = [encode(entry) for entry in self._sale(sale, time_ms)]
                record = self._seal(place, bodies[step], time_ms, Stream.SALES, seq - 1)
                place = Place(seq, record.hash, link(place.sales_hash, record.exact))
            records.append(record)
            places.append(place)
        return records, places

    def _seal(self, place: Place, body: bytes, time_ms: int, stream: Stream, stream_seq: int) -> Record:
        prev = GENESIS if stream == Stream.TECHNICAL else place.sales_hash
        envelope = Envelope(
            version=1, epoch=self.epoch, seq=place.seq + 1, stream=stream, stream_seq=stream_seq,
            stream_prev=prev.hex(), time_ms=time_ms, clock=ClockQuality.NTP, boot=self._boot, mono_ms=time_ms % _DAY_MS,
            body=msgspec.Raw(body),
        )  # fmt: skip
        return seal(envelope, place.hash)

    def _sale(self, number: int, time_ms: int) -> list[AnyEntry]:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        day, said = moment.date().isoformat(), moment.isoformat(timespec="seconds")
        prices = self._plan.prices_minor(self.number, number)
        total_minor = sum(prices)
        net_minor = (total_minor * 10_000 + (10_000 + _RATE_BP) // 2) // (10_000 + _RATE_BP)
        return [
            TransactionOpened(number=number, business_day=day, currency=CURRENCY, began=said),
            *(
                ItemAdded(
                    line=line, gtin=_GTIN, name="Simulated goods", unit="each", quantity_milli=1000,
                    unit_price_minor=price, amount_minor=price, tax="A", entry_method="scanned",
                )
                for line, price in enumerate(prices, 1)
            ),
            CashTendered(tender=1, amount_minor=total_minor),
            TransactionCompleted(
                number=number, business_day=day, currency=CURRENCY, lines=len(prices), total_minor=total_minor,
                change_minor=0, ended=said, epoch=self.epoch,
                taxes=(TaxTotal(code="A", rate_bp=_RATE_BP, included=True, gross_minor=total_minor,
                                net_minor=net_minor, tax_minor=total_minor - net_minor),),
                tenders=(TenderTotal(kind="CASH", amount_minor=total_minor),),
            ),
        ]  # fmt: skip
