"""The forwarder with a real journal and a real broker; headquarters' side is played by the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from core import topics
from core.delivery import Ack, Batch, check, decode, encode_ack
from core.entries import EpochOpened, encode
from core.ledger import GENESIS, Draft, Head, Record, Stamp
from core.window import FLIGHTS_MAX, Pacing
from terminald.broker import Message, parse_url
from terminald.clock import SystemClock
from terminald.forwarder import Forwarder
from terminald.mqtt import Connection, connect
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, mosquitto_in
from tests.hostile import narrow
from tests.records import KEY, TERMINAL, chain, follow, head_of, sales
from tests.tills import Till, eventually, make_key, open_till

HEADQUARTERS = make_key(9)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path) as broker:
        yield broker


class Headquarters:
    """Hears batches, and acknowledges what the test says."""

    def __init__(self, connection: Connection) -> None:
        self.batches: list[Batch] = []
        """What came, in order, each once: on a busy machine a batch is sent again before the test has answered."""
        self.heard: list[tuple[int, int]] = []
        """The ranges of all that came."""
        self._connection = connection

    def hear(self, message: Message) -> None:
        batch = decode(message.payload)
        self.heard.append((batch.header.first, batch.header.last))
        if (batch.header.first, batch.header.head) not in [
            (each.header.first, each.header.head) for each in self.batches
        ]:
            self.batches.append(batch)
        self._connection.acknowledge(message)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What came, in order, each once."""
        return [(batch.header.first, batch.header.last) for batch in self.batches]

    async def acknowledge(
        self, head: Head, *, generation: int = 5, key: int = 9, fault: str | None = None,
        quarantined: tuple[tuple[int, int], ...] = (),
    ) -> None:  # fmt: skip
        """Publishes a signed acknowledgement up to a head."""
        ack = Ack(
            epoch=head.epoch, hwm=head.seq, archived_hwm=0, gaps=(), quarantined=quarantined,
            hash_at_hwm=head.hash.hex(), collector_generation=generation, fault=fault,
        )  # fmt: skip
        payload = encode_ack(TERMINAL, ack, make_key(key).sign)
        await self._connection.publish(topics.ack(TERMINAL), payload, retain=True)


@contextlib.asynccontextmanager
async def headquarters(broker: Mosquitto) -> AsyncIterator[Headquarters]:
    async with connect(parse_url(broker.url), "headquarters") as connection:
        played = Headquarters(connection)
        await connection.subscribe(topics.EVERY_BATCH, played.hear)
        yield played


@contextlib.asynccontextmanager
async def running(uplink: Uplink) -> AsyncIterator[None]:
    task = asyncio.create_task(uplink.run(), name="uplink")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def forwarding(till: Till, broker: Mosquitto) -> AsyncIterator[Forwarder]:
    forwarder = till.forwarder(HEADQUARTERS.public_key)
    async with running(till.uplink(forwarder, broker.url)):
        yield forwarder


async def test_one_sale_makes_one_batch_that_proves_itself(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq, forwarding(till, mosquitto) as forwarder:
        await eventually(lambda: len(hq.batches) == 1)
        await till.sell(500, items=5)
        forwarder.notify()
        await eventually(lambda: len(hq.batches) == 2)
        verified = check(hq.batches[1], TERMINAL, till.key.public_key)
        assert [item.sale.total_minor for item in verified.completed] == [500]
        await hq.acknowledge(till.journal.synced)
        await eventually(lambda: forwarder.acknowledged_seq == till.journal.synced.seq)
        assert forwarder.fault is None


async def test_the_brokers_own_answer_delivers_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, forwarding(till, mosquitto) as forwarder:
        await till.sell(500)
        forwarder.notify()
        await eventually(lambda: (forwarder.fault or "").startswith("headquarters-absent"))
        assert forwarder.acknowledged_seq == 0
        assert await till.journal.acknowledged(till.journal.head.epoch) is None


async def test_no_more_than_the_window_is_in_flight(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq:
        await till.sell_many(1000, Random(1))
        async with forwarding(till, mosquitto):
            await eventually(lambda: len(hq.batches) == FLIGHTS_MAX)
            await asyncio.sleep(0.2)
            assert hq.ranges == [(1, 500), (501, 1000), (1001, 1500), (1501, 2000)]
            await hq.acknowledge(hq.batches[1].header.head)
            await eventually(lambda: len(hq.batches) == FLIGHTS_MAX + 2)


async def test_on_a_slow_line_nothing_is_sent_twice(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq, narrow(mosquitto.port, 60_000) as url:
        await till.sell_many(400, Random(1))
        forwarder = till.forwarder(HEADQUARTERS.public_key)  # it sends again after half a second
        async with running(till.uplink(forwarder, url)):
            while forwarder.acknowledged_seq < till.journal.synced.seq:
                known = len(hq.batches)
                await eventually(lambda known=known: len(hq.batches) > known)  # type: ignore[misc] # mypy cannot see it
                await hq.acknowledge(hq.batches[-1].header.head)
                await eventually(lambda: forwarder.acknowledged_seq == hq.batches[-1].header.last)
        assert len(hq.heard) == len(hq.ranges) == 4


async def test_a_broker_that_takes_small_messages_alone_gets_such(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path, "allow_anonymous true\nmax_packet_size 6000") as mosquitto:
        async with open_till(tmp_path) as till, headquarters(mosquitto) as hq:
            await till.sell_many(200, Random(1))
            async with forwarding(till, mosquitto) as forwarder:
                while forwarder.acknowledged_seq < till.journal.synced.seq:
                    await asyncio.sleep(0.02)
                    if hq.batches:
                        await hq.acknowledge(hq.batches[-1].header.head)
                assert forwarder.fault is None
        assert len(hq.ranges) > 2


async def test_a_record_that_no_message_can_carry_is_named(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path, "allow_anonymous true\nmax_packet_size 600") as mosquitto:
        async with open_till(tmp_path) as till, forwarding(till, mosquitto) as forwarder:
            await eventually(lambda: (forwarder.fault or "").startswith("batch-too-large"))
            assert "and record 1 makes one of" in (forwarder.fault or "")
            assert "raise its max_packet_size" in (forwarder.fault or "")


async def test_what_was_acknowledged_is_not_sent_again_after_a_restart(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq:
        await till.sell_many(10, Random(1))
        async with forwarding(till, mosquitto) as forwarder:
            await eventually(lambda: len(hq.batches) == 1)
            await hq.acknowledge(till.journal.synced)
            await eventually(lambda: forwarder.acknowledged_seq > 0)
        first = till.journal.synced.seq + 1
        await till.sell(100)
        async with forwarding(till, mosquitto):
            await eventually(lambda: len(hq.batches) == 2)
        assert hq.ranges[1] == (first, till.journal.synced.seq)
        assert hq.batches[1].header.acked_seq == first - 1


async def test_a_retained_acknowledgement_is_heard_after_a_restart(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq:
        await till.sell_many(10, Random(1))
        await hq.acknowledge(till.journal.synced)
        async with forwarding(till, mosquitto) as forwarder:
            await eventually(lambda: forwarder.acknowledged_seq == till.journal.synced.seq)


async def test_a_forged_acknowledgement_lets_go_of_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq, forwarding(till, mosquitto) as forwarder:
        await till.sell(500)
        forwarder.notify()
        await eventually(lambda: len(hq.batches) > 0)
        await hq.acknowledge(till.journal.synced, key=4)
        await eventually(lambda: (forwarder.fault or "").startswith("ack-forged"))
        assert forwarder.acknowledged_seq == 0
        await hq.acknowledge(till.journal.synced)
        await eventually(lambda: forwarder.acknowledged_seq > 0 and forwarder.fault is None)


async def test_noise_in_place_of_an_acknowledgement_is_told(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, forwarding(till, mosquitto) as forwarder:
        async with connect(parse_url(mosquitto.url), "noise") as noise:
            await eventually(lambda: forwarder.generation == 0)
            await noise.publish(topics.ack(TERMINAL), b"\x00noise", retain=True)
        await eventually(lambda: (forwarder.fault or "").startswith("ack-unreadable"))


async def test_a_lower_mark_is_ignored_and_a_restored_headquarters_is_not(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq:
        await till.sell_many(3, Random(1))
        async with forwarding(till, mosquitto) as forwarder:
            await eventually(lambda: len(hq.batches) == 1)
            synced = till.journal.synced
            third = head_of((await till.journal.read(synced.epoch, 2, 1))[0])
            await hq.acknowledge(synced)
            await eventually(lambda: forwarder.acknowledged_seq == synced.seq)
            await hq.acknowledge(third)
            await hq.acknowledge(third, generation=4)
            await till.sell(1)
            forwarder.notify()
            await eventually(lambda: len(hq.batches) == 2)
            assert hq.ranges[1][0] == synced.seq + 1
            await hq.acknowledge(third, generation=6)
            await eventually(lambda: (4, till.journal.synced.seq) in hq.ranges)
            kept = await till.journal.acknowledged(synced.epoch)
            assert kept is not None
            assert kept.seq == 3


@pytest.mark.parametrize("how", ["ahead", "other hash"])
async def test_a_journal_that_went_back_in_time_sends_nothing_more(
    tmp_path: Path, mosquitto: Mosquitto, how: str
) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq, forwarding(till, mosquitto) as forwarder:
        await till.sell(500)
        forwarder.notify()
        await eventually(lambda: len(hq.batches) > 0)
        synced = till.journal.synced
        seq = synced.seq + 10 if how == "ahead" else synced.seq
        await hq.acknowledge(Head(epoch=synced.epoch, seq=seq, hash=bytes(31) + b"\x01"))
        await eventually(lambda: (forwarder.fault or "").startswith("journal-behind"))
        assert forwarder.ahead is not None
        await till.sell(600)
        forwarder.notify()
        await asyncio.sleep(0.2)
        assert len(hq.batches) == 1
        assert forwarder.acknowledged_seq == 0


async def test_what_headquarters_says_is_wrong_is_shown(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq, forwarding(till, mosquitto) as forwarder:
        await till.sell(500)
        forwarder.notify()
        await eventually(lambda: len(hq.batches) > 0)
        nothing = Head(epoch=till.journal.synced.epoch, seq=0, hash=GENESIS)
        await hq.acknowledge(nothing, fault="key-untrusted: another key")
        await eventually(lambda: forwarder.fault == "headquarters: key-untrusted: another key")
        await hq.acknowledge(till.journal.synced, quarantined=((1, 2),))
        await eventually(lambda: forwarder.quarantined == 2 and forwarder.fault is None)


async def test_another_headquarters_gets_everything(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, headquarters(mosquitto) as hq:
        await till.sell_many(3, Random(1))
        synced = till.journal.synced
        ack = Ack(
            epoch=synced.epoch, hwm=synced.seq, archived_hwm=0, gaps=(), quarantined=(),
            hash_at_hwm=synced.hash.hex(), collector_generation=5,
        )  # fmt: skip
        await till.journal.acknowledge(synced.epoch, synced.seq, encode_ack(TERMINAL, ack, make_key(8).sign))
        async with forwarding(till, mosquitto):
            await eventually(lambda: hq.ranges == [(1, synced.seq)])


async def test_a_batch_that_the_access_rules_forbid_is_told(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text(f"topic read pos/v1/{TERMINAL}/#\n")
    with mosquitto_in(tmp_path, f"allow_anonymous true\nacl_file {rules}") as mosquitto:
        async with open_till(tmp_path) as till, forwarding(till, mosquitto) as forwarder:
            await till.sell(500)
            forwarder.notify()
            await eventually(lambda: (forwarder.fault or "").startswith("publish-refused"))


@dataclass
class Epochs:
    """A journal that was restored: two epochs, of which the older was not delivered whole."""

    epochs: list[list[Record]]
    kept: dict[str, "Kept"] = field(default_factory=dict)
    bases: dict[str, Head] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        return head_of(self.epochs[-1][-1])

    synced = head

    async def append(self, drafts: Sequence[Draft], stamp: Stamp, *, key: str | None = None) -> tuple[Record, ...]:
        raise AssertionError("a forwarder writes no records")

    async def find(self, key: str) -> Record | None:
        raise AssertionError("a forwarder looks for none")

    async def sync(self) -> None:
        raise AssertionError("a forwarder flushes nothing")

    async def read(self, epoch: str, after_seq: int, count_max: int) -> Sequence[Record]:
        return [r for records in self.epochs for r in records if r.epoch == epoch and r.seq > after_seq][:count_max]

    async def acknowledge(self, epoch: str, seq: int, ack: bytes) -> None:
        self.kept[epoch] = Kept(seq, ack)

    async def acknowledged(self, epoch: str) -> "Kept | None":
        return self.kept.get(epoch)

    async def base(self, epoch: str) -> Head:
        return self.bases.get(epoch, Head(epoch=epoch, seq=0, hash=GENESIS))


@dataclass(frozen=True)
class Kept:
    seq: int
    ack: bytes


def after_a_restore() -> Epochs:
    older = chain(sales(5))
    opened = EpochOpened(
        terminal=TERMINAL, reason="restored", signing_key=KEY.public_key.hex(), previous_epoch=older[0].epoch,
        previous_seq=older[-1].seq, previous_head=older[-1].hash.hex(),
    )  # fmt: skip
    return Epochs([older, follow(Head(epoch="f" * 32, seq=0, hash=GENESIS), [encode(opened)])])


async def test_an_older_epoch_is_delivered_before_the_current_one(mosquitto: Mosquitto) -> None:
    journal, clock = after_a_restore(), SystemClock()
    older, newer = journal.epochs
    forwarder = Forwarder(
        terminal=TERMINAL, journal=journal, signer=KEY, ack_key=HEADQUARTERS.public_key, clock=clock, random=Random(1)
    )
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id=TERMINAL, users=[forwarder], clock=clock, random=Random(1)
    )
    async with headquarters(mosquitto) as hq, running(uplink):
        await eventually(lambda: len(hq.batches) == 1)
        assert hq.batches[0].header.head == head_of(older[-1])
        await hq.acknowledge(head_of(older[-1]))
        await eventually(lambda: len(hq.batches) == 2)
        assert hq.batches[1].header.head == head_of(newer[-1])
        await hq.acknowledge(head_of(newer[-1]))
        await eventually(lambda: forwarder.acknowledged_seq == 1)


async def test_an_epoch_that_headquarters_disowns_gives_way_to_the_newer_one(mosquitto: Mosquitto) -> None:
    journal, clock = after_a_restore(), SystemClock()
    older, newer = journal.epochs
    forwarder = Forwarder(
        terminal=TERMINAL, journal=journal, signer=KEY, ack_key=HEADQUARTERS.public_key, clock=clock, random=Random(1)
    )
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id=TERMINAL, users=[forwarder], clock=clock, random=Random(1)
    )
    async with headquarters(mosquitto) as hq, running(uplink):
        await eventually(lambda: len(hq.batches) == 1)
        await hq.acknowledge(Head(epoch=older[0].epoch, seq=99, hash=bytes(32)))
        await eventually(lambda: hq.ranges[-1] == (1, 1))
        await hq.acknowledge(head_of(newer[-1]))
        await eventually(lambda: forwarder.acknowledged_seq == 1)


def adopted(after: int) -> Epochs:
    """As after an adoption: of the older epoch only what was not acknowledged, then a new one."""
    journal = after_a_restore()
    older = journal.epochs[0]
    base = head_of(older[after - 1])
    return Epochs([older[after:], journal.epochs[1]], bases={base.epoch: base})


async def test_an_epoch_that_was_adopted_is_sent_from_where_it_begins_here(mosquitto: Mosquitto) -> None:
    journal, clock = adopted(4), SystemClock()
    older, newer = journal.epochs
    forwarder = Forwarder(
        terminal=TERMINAL, journal=journal, signer=KEY, ack_key=HEADQUARTERS.public_key, clock=clock, random=Random(1)
    )
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id=TERMINAL, users=[forwarder], clock=clock, random=Random(1)
    )
    async with headquarters(mosquitto) as hq, running(uplink):
        await hq.acknowledge(journal.bases[older[0].epoch])  # the retained answer to the one that is dead
        await eventually(lambda: hq.ranges == [(5, len(older) + 4)])
        check(hq.batches[0], TERMINAL, KEY.public_key)
        await hq.acknowledge(head_of(older[-1]))
        await eventually(lambda: hq.ranges[-1] == (1, 1))
        await hq.acknowledge(head_of(newer[-1]))
        await eventually(lambda: forwarder.acknowledged_seq == 1 and forwarder.fault is None)


async def test_what_headquarters_lost_and_the_heir_never_had_does_not_hold_up_new_sales(mosquitto: Mosquitto) -> None:
    journal, clock = adopted(4), SystemClock()
    older, newer = journal.epochs
    forwarder = Forwarder(
        terminal=TERMINAL, journal=journal, signer=KEY, ack_key=HEADQUARTERS.public_key, clock=clock, random=Random(1),
        pacing=Pacing(resend_after_s=0.1, resend_after_max_s=0.1),
    )  # fmt: skip
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id=TERMINAL, users=[forwarder], clock=clock, random=Random(1)
    )
    async with headquarters(mosquitto) as hq, running(uplink):
        await eventually(lambda: len(hq.batches) == 1)
        await hq.acknowledge(Head(epoch=older[0].epoch, seq=2, hash=bytes(32)), generation=9)
        await eventually(lambda: "headquarters-lacks" in (forwarder.fault or ""))
        await eventually(lambda: hq.ranges[-1] == (1, 1))
        assert hq.heard.count((5, len(older) + 4)) >= 2
        await hq.acknowledge(head_of(newer[-1]), generation=9)
        await eventually(lambda: forwarder.acknowledged_seq == 1)
