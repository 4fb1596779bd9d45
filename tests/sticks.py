"""Sticks of dead terminals, written by a real journal and a real mirror without a daemon."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.delivery import Ack, encode_ack
from core.entries import AnyEntry, DaemonStarted, DaemonStopped, decode, draft
from core.fold import apply
from core.ledger import GENESIS, Head, Record, open_record
from core.state import Till as TillState
from store.mirror import MirrorMedium, Owner
from store.mirror_format import Base
from terminald.engine import state_of
from tests.store.mirrors import RECOVERY_PUBLIC
from tests.tills import make_key, open_till, sale

HEADQUARTERS = make_key(9)
SEED = 3


@dataclass
class Dead:
    """A terminal that is gone: what it had, and the stick it left."""

    stick: Path
    name: str
    records: list[Record]
    acknowledged: int
    tally: dict[int, int] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        last = self.records[-1]
        return Head(epoch=last.epoch, seq=last.seq, hash=last.hash)


async def leave_stick(
    folder: Path, *, name: str = "till-3", sales: int = 5, acknowledged: int = 2, extra: Sequence[AnyEntry] = (),
    goodbye: bool = False, broker: str = "", headquarters: int = 9, frames: int = 4, stick: str = "stick",
    recovery_public: bytes = RECOVERY_PUBLIC,
) -> Dead:  # fmt: skip
    """A stick in ``stick`` of a terminal that sold, of which headquarters acknowledged the first sales.

    `extra` are entries after the last sale; after `goodbye` the terminal was switched off in order.
    """
    own = folder / f"dead-{stick}"
    own.mkdir()
    (folder / stick).mkdir()
    tally = {}
    async with open_till(own, name, seed=SEED) as till:
        await till.journal.append([draft(DaemonStarted(software="1", clean=True))], till.stamp())
        acked = till.journal.head
        for number in range(1, sales + 1):
            await till.journal.append([draft(entry) for entry in sale(number, 100 + number)], till.stamp())
            tally[number] = 100 + number
            if number == acknowledged:
                acked = till.journal.head
        if extra:
            await till.journal.append([draft(entry) for entry in extra], till.stamp())
        if goodbye:
            await till.journal.append([draft(DaemonStopped())], till.stamp())
        await till.journal.sync()
        records = [record async for record in till.journal.replay(0)]
    write_mirror(
        folder / stick, name, records, acked.seq if acknowledged else 0, broker, headquarters, frames, recovery_public
    )
    return Dead(folder / stick, name, records, acked.seq if acknowledged else 0, tally)


def write_mirror(
    stick: Path, name: str, records: Sequence[Record], after: int, broker: str, headquarters: int, frames: int,
    recovery_public: bytes,
) -> None:  # fmt: skip
    """The mirror's file of an epoch from the record `after` on, in frames of so many records."""
    key = make_key(SEED)
    owner = Owner(terminal=name, key=bytes([SEED]) * 32, recovery_public=recovery_public, sign=key.sign)
    epoch = records[0].epoch
    prev = records[after - 1].hash if after else GENESIS
    state = TillState()
    for record in records[:after]:
        state = apply(state, decode(open_record(record.exact).body))
    ack = Ack(
        epoch=epoch, hwm=after, archived_hwm=0, gaps=(), quarantined=(), hash_at_hwm=prev.hex(), collector_generation=1
    )
    medium = MirrorMedium(stick, owner)
    base = Base(
        prev_seq=after, prev_hash=prev.hex(), signing_key=key.public_key.hex(), state=msgspec.Raw(state_of(state)),
        state_seq=after, identity=(bytes([SEED]) * 32).hex(), broker=broker,
        ack=encode_ack(name, ack, make_key(headquarters).sign).decode() if after else "",
    )  # fmt: skip
    medium.begin(epoch, 1, 1, base)
    for at in range(after, len(records), frames):
        medium.append(records[at : at + frames])
    medium.publish()
    medium.close()
