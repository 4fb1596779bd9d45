"""What a terminal forgets because headquarters has it in a backup is there again when headquarters loses its database."""

import asyncio
from pathlib import Path
from random import Random

from core.delivery import Ack, open_ack
from core.ledger import ClockQuality, Stamp
from fleet.cli import main
from fleet.verify import verify_all
from store.verify import verify_journal
from terminald.clock import SystemClock
from terminald.custody import Custody
from terminald.forwarder import Forwarder
from tests.brokers import Mosquitto
from tests.fleet.test_end_to_end import HEADQUARTERS, agree, collecting, forwarding, is_drained
from tests.fleet.test_rollback import booted
from tests.tills import DATABASE_KEY, Till, eventually, open_till

SEGMENT = 100
ANNOUNCED_S = 40.0


class DatedClock(SystemClock):
    """A machine whose clock is synchronised, whatever this one's is: else nobody knows how old a record is."""

    def stamp(self) -> Stamp:
        stamp = super().stamp()
        return Stamp(time_ms=stamp.time_ms, clock=ClockQuality.NTP, boot=stamp.boot, mono_ms=stamp.mono_ms)


def custody(path: Path, till: Till) -> Custody:
    return Custody(
        path=path, key=DATABASE_KEY, terminal=till.name, journal=till.journal, engine=booted(till), signer=till.key,
        clock=DatedClock(), ack_key=HEADQUARTERS.public_key, keep_days=0, segment_records=SEGMENT, proof=lambda: None,
        clock_doubtful=lambda: False, changed=lambda: None,
    )  # fmt: skip


async def newest(till: Till) -> Ack:
    kept = await till.journal.acknowledged(till.journal.head.epoch)
    assert kept is not None
    return open_ack(till.name, kept.ack, HEADQUARTERS.public_key)


async def sold(till: Till, forwarder: Forwarder, count: int, seed: int) -> None:
    await till.sell_many(count, Random(seed))
    forwarder.notify()
    await eventually(lambda: is_drained(till, forwarder), 40)


def restore(copy: Path, database: Path) -> None:
    """The database is gone with all that lies beside it, and the backup takes its place."""
    for lost in database.parent.glob(f"{database.name}*"):
        lost.unlink()
    copy.rename(database)


async def test_from_a_backup_to_forgetting_and_back(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Three hundred sales; a backup after two hundred; the terminal forgets what is in it, and then the database is gone."""
    database, copy, path = tmp_path / "headquarters.db", tmp_path / "copy.db", tmp_path / "till-3.db"
    async with open_till(tmp_path) as till, forwarding(till, mosquitto.url) as forwarder:
        async with collecting(tmp_path, mosquitto.url) as report:
            await sold(till, forwarder, 200, 1)
            assert await custody(path, till).prune() == 0, "nothing may go without a backup"
            backed_up = till.journal.head.seq
            command = ["backup", "make", "--database", str(database), str(copy)]
            assert await asyncio.to_thread(main, command) == 0
            await sold(till, forwarder, 100, 2)
            async with asyncio.timeout(ANNOUNCED_S):
                while (await newest(till)).archived_hwm < backed_up:
                    await till.sell(1)  # the next answer says it, if none did by itself
                    forwarder.notify()
                    await asyncio.sleep(0.5)
            await till.journal.save_checkpoint(till.journal.head.seq, b"state")
            pruned = await custody(path, till).prune()
            assert pruned == (backed_up - 1) // SEGMENT, "whole segments alone, and none beyond the backup"
            base = await till.journal.base(till.journal.head.epoch)
            assert base.seq == pruned * SEGMENT
            agree(report(), till)
        restore(copy, database)
        async with collecting(tmp_path, mosquitto.url) as report:
            await sold(till, forwarder, 10, 3)
            await eventually(lambda: report().transactions == len(till.tally), 40)
            agree(report(), till)
            assert forwarder.fault is None
            assert (await newest(till)).gaps == ()
        assert verify_all(database)[1] == []
    found = verify_journal(path, DATABASE_KEY, terminal="till-3")
    assert found.whole, found.finding
