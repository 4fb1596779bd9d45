"""What the store's tests share: a key, a stamp, drafts, and journals opened with them."""

from pathlib import Path

import msgspec

from core.ledger import ClockQuality, Draft, Stamp, Stream
from store.database import KEY_BYTES
from store.journal import SYNC_DELAY_S, SqlJournal
from store.writer import ThreadWriter, WriterFactory

KEY = bytes(range(KEY_BYTES))
OTHER_KEY = bytes(range(1, KEY_BYTES + 1))
STAMP = Stamp(time_ms=1_700_000_000_000, clock=ClockQuality.NTP, boot="0123456789abcdef", mono_ms=12)
SIGNING_KEY = bytes(32)


async def open_journal(
    path: Path, key: bytes = KEY, *, writer: WriterFactory = ThreadWriter, sync_delay_s: float = SYNC_DELAY_S
) -> SqlJournal:
    """The till-1's journal at `path`."""
    return await SqlJournal.open(
        path, key, terminal="till-1", signing_key=SIGNING_KEY, stamp=STAMP, writer=writer, sync_delay_s=sync_delay_s
    )


def money(name: str = "paid", stream: Stream = Stream.SALES) -> Draft:
    """A draft that must be durable."""
    return Draft(stream=stream, body=msgspec.json.encode({"name": name}), moves_money=True)


def basket(name: str = "item", stream: Stream = Stream.SALES) -> Draft:
    """A draft that may wait for its flush."""
    return Draft(stream=stream, body=msgspec.json.encode({"name": name}), moves_money=False)
