"""Durable commits as a till makes them, one record of about 600 B each.

``python -m bench.committing FOLDER COUNT`` makes that many, for whoever counts its calls from outside.
"""

import sys
from pathlib import Path

from core.ledger import ClockQuality, Draft, Stamp, Stream
from store.database import KEY_BYTES
from store.records import Append, Founding, RecordStore

KEY = bytes(range(KEY_BYTES))
RECORD_BYTES = 600
_STAMP = Stamp(time_ms=1_700_000_000_000, clock=ClockQuality.NTP, boot="0123456789abcdef", mono_ms=1)
_ENVELOPE_BYTES = 300  # measured: what seal puts around a body
_DRAFT = Draft(
    stream=Stream.SALES, body=b'{"type":"x","pad":"%s"}' % (b"x" * (RECORD_BYTES - _ENVELOPE_BYTES)), moves_money=True
)


def open_store(folder: Path) -> RecordStore:
    """A new journal in a folder."""
    return RecordStore(folder / "journal.db", KEY, Founding(terminal="till-1", signing_key=bytes(32), stamp=_STAMP))


def record() -> Append:
    """What one durable commit is asked for."""
    return Append((_DRAFT,), _STAMP, None)


def keyed_record(number: int) -> Append:
    """The same under an idempotency key, as for an order that a client may repeat: one more page is written."""
    return Append((_DRAFT,), _STAMP, f"order-{number:08d}")


def main(folder: Path, count: int) -> None:
    """Makes `count` commits in a new journal, each under a key."""
    store = open_store(folder)
    for number in range(count):
        store.commit([keyed_record(number)])
        store.rest()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
