"""The second medium beside a real journal: what a sale waits for, what it never waits for, and what the screen says."""

import asyncio
import contextlib
import errno
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.delivery import Ack, encode_ack
from core.entries import draft
from core.ledger import Record
from core.view import MirrorView
from drivers.hotplug import Watcher
from store.mirror import FOLDER, Owner, Taken, left_by, mark_taken, read_left, terminals_on
from store.mirror_format import Contents, recovered
from terminald.second_medium import FAULTS, Estate, Patience, SecondMedium
from tests.media import medium as mounted
from tests.store.mirrors import RECOVERY_PRIVATE, RECOVERY_PUBLIC, HostileFiles
from tests.tills import Till, eventually, make_key, open_till, sale
from ui.text import WORDS

HURRIED = Patience(deadline_s=0.1, stuck_after_s=0.5, open_timeout_s=2.0, retry_s=0.05, full_look_again_s=0.2)
HEADQUARTERS = make_key(9)
TRIM_BYTES = 32 << 10


@dataclass
class Counter:
    """A till whose sales go through the second medium as the engine's do."""

    till: Till
    stick: Path
    files: HostileFiles
    medium: SecondMedium
    acknowledged: int = 0
    folded: tuple[str, int, bytes] | None = None
    waited_s: list[float] = field(default_factory=list)

    async def sell(self, count: int = 1) -> None:
        """Cash sales; each is durable before the medium hears of it."""
        for _ in range(count):
            number = len(self.till.tally) + 1
            records = await self._append(number)
            self.till.tally[number] = number
            began_s = time.monotonic()
            await self.medium.secure(records, True)
            self.waited_s.append(time.monotonic() - began_s)

    async def _append(self, number: int) -> tuple[Record, ...]:
        drafts = [draft(entry) for entry in sale(number, number)]
        records = await self.till.journal.append(drafts, self.till.stamp())
        self.folded = records[-1].epoch, records[-1].seq, b'[1,{"n":%d}]' % number
        return records

    async def acknowledge(self, seq: int) -> None:
        """Headquarters signs for all up to a record."""
        records = await self.till.journal.read(self.till.journal.head.epoch, seq - 1, 1)
        ack = Ack(
            epoch=records[0].epoch, hwm=seq, archived_hwm=0, gaps=(), quarantined=(),
            hash_at_hwm=records[0].hash.hex(), collector_generation=1,
        )  # fmt: skip
        await self.till.journal.acknowledge(ack.epoch, seq, encode_ack(self.till.name, ack, HEADQUARTERS.sign))
        self.acknowledged = seq
        self.medium.notify()

    async def sees(self, condition: Callable[[MirrorView], bool]) -> MirrorView:
        """Waits until the screen would show it."""
        await eventually(lambda: condition(self.medium.view()), 10)
        return self.medium.view()

    async def state(self, state: str, fault: str | None = None) -> None:
        await self.sees(lambda view: (view.state, view.fault) == (state, fault))

    def left(self) -> tuple[Contents, list[Record]]:
        """What a successor would find."""
        (left,) = left_by(self.stick, self.till.name)
        records: list[Record] = []
        return read_left(left, recovered(left.header, RECOVERY_PRIVATE), records.extend), records


@contextlib.asynccontextmanager
async def counter(
    folder: Path, *, plugged: bool = True, policy_other_than: Path | None = None, recovery: bool = True,
    seed: int = 3, name: str = "till-3", journals: str = "",
) -> AsyncIterator[Counter]:  # fmt: skip
    """A till with a stick at ``stick``; its journal lies in a folder of its own."""
    stick = folder / "stick"
    if plugged:
        stick.mkdir(exist_ok=True)
    own = folder / f"terminal{journals}"
    own.mkdir(exist_ok=True)
    async with open_till(own, name, seed=seed) as till:
        files = HostileFiles()
        owner = Owner(terminal=name, key=bytes([seed]) * 32, recovery_public=RECOVERY_PUBLIC, sign=till.key.sign)
        found: Counter

        medium = SecondMedium(
            path=stick, other_than=policy_other_than, owner=owner if recovery else None,
            estate=Estate(identity=bytes([seed]) * 32, signing_key=till.key.public_key), journal=till.journal,
            snapshot=lambda: found.folded, acknowledged_seq=lambda: found.acknowledged, clock=till.clock,
            changed=lambda: None, files=files, patience=HURRIED, trim_bytes=TRIM_BYTES,
        )  # fmt: skip
        head = till.journal.head
        found = Counter(till, stick, files, medium, folded=(head.epoch, head.seq, b"[1,{}]"))
        async with Watcher([stick], media=True) as watcher:
            task = asyncio.create_task(medium.run(watcher.wait), name="second-medium")
            try:
                yield found
            finally:
                task.cancel()
                files.open.set()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def test_a_sale_is_on_the_stick_before_it_goes_on(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        for _ in range(3):
            await shop.sell()
            contents, records = shop.left()
            assert contents.head == shop.till.journal.synced
            assert records[-1].seq == shop.till.journal.head.seq
        assert shop.medium.view() == MirrorView(state="ready")


async def test_without_a_stick_the_screen_counts_what_is_at_risk(tmp_path: Path) -> None:
    async with counter(tmp_path, plugged=False) as shop:
        await shop.sell(3)
        assert shop.medium.view() == MirrorView(state="absent", sales_at_risk=3)
        assert [each.id for each in shop.medium.conditions()] == ["mirror-absent"]
        await shop.acknowledge(shop.till.journal.head.seq - 4)
        await shop.sees(lambda view: view.sales_at_risk == 1)
        assert max(shop.waited_s) < 0.05
    async with counter(tmp_path, plugged=False) as shop:  # after a restart too
        shop.acknowledged = 0
        await shop.sees(lambda view: view.sales_at_risk == 1)


async def test_a_stick_that_is_plugged_in_later_gets_what_is_missing(tmp_path: Path) -> None:
    async with counter(tmp_path, plugged=False) as shop:
        await shop.sell(3)
        shop.stick.mkdir()
        await shop.state("ready")
        assert shop.medium.view().sales_at_risk == 0
        contents, records = shop.left()
        assert (contents.head, len(records)) == (shop.till.journal.synced, shop.till.journal.head.seq)
        assert contents.base.state_seq == shop.till.journal.head.seq
        shop.stick.rename(tmp_path / "pocket")
        await shop.sell(2)
        await shop.state("absent")
        assert shop.medium.view().sales_at_risk == 5
        (tmp_path / "pocket").rename(shop.stick)
        await shop.state("ready")
        assert shop.left()[0].head == shop.till.journal.synced


async def test_only_what_headquarters_lacks_is_written(tmp_path: Path) -> None:
    async with counter(tmp_path, plugged=False) as shop:
        await shop.sell(3)
        await shop.acknowledge(9)
        shop.stick.mkdir()
        await shop.state("ready")
        contents, records = shop.left()
        assert (records[0].seq, contents.base.prev_seq) == (10, 9)
        await shop.acknowledge(11)
        await shop.sell()
        assert '"hwm":11' in shop.left()[0].ack


async def test_what_was_acknowledged_leaves_the_stick(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        while _size(shop.stick) < 1.2 * TRIM_BYTES:
            await shop.sell(20)
        before = _size(shop.stick)
        await shop.acknowledge(shop.till.journal.head.seq)
        await shop.sell()
        await eventually(lambda: _size(shop.stick) < before / 4)
        await shop.state("ready")
        contents, records = shop.left()
        assert contents.header.number == 2
        assert contents.head == shop.till.journal.synced
        assert len(records) <= 4


async def test_a_late_stick_stops_no_sale_and_catches_up(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        shop.files.delay_s = 0.15
        await shop.sell()
        assert 0.09 < shop.waited_s[-1] < 0.3
        assert (shop.medium.view().state, shop.medium.view().fault) == ("slow", "mirror-slow")
        await shop.sell(3)  # not waited for while it is behind
        assert max(shop.waited_s[1:]) < 0.05
        await shop.sees(lambda view: view.behind == 0 and view.sales_at_risk == 0)
        shop.files.delay_s = 0.0
        await asyncio.sleep(0.05)
        await shop.sell()
        await shop.state("ready")


async def test_a_stick_that_is_always_late_is_not_waited_for_any_more(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        shop.files.delay_s = 0.13
        for _ in range(8):
            await shop.sell()
            await shop.sees(lambda view: view.behind == 0)
            await asyncio.sleep(0.02)
        assert sum(waited > 0.05 for waited in shop.waited_s) == 5
        assert shop.medium.view().state == "slow"
        assert shop.left()[0].head == shop.till.journal.synced


async def test_a_stick_that_hangs_is_given_up_until_it_is_plugged_in_again(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        shop.files.open.clear()
        await shop.sell()
        await shop.state("failed", "mirror-stuck")
        await shop.sell(5)
        assert max(shop.waited_s[1:]) < 0.05
        assert shop.medium.view().sales_at_risk == 6
        shop.stick.rename(tmp_path / "pocket")
        await shop.state("absent")
        shop.files.open.set()
        (tmp_path / "pocket").rename(shop.stick)
        await shop.state("ready")
        assert shop.left()[0].head == shop.till.journal.synced


async def test_a_full_stick_says_so_and_recovers_unaided(tmp_path: Path) -> None:
    with mounted(tmp_path / "stick", size="32k") as stick:
        async with counter(tmp_path, policy_other_than=tmp_path) as shop:
            await shop.state("ready")
            while shop.medium.view().state != "failed":
                await shop.sell(4)
            assert [each.id for each in shop.medium.conditions()] == ["mirror-full"]
            assert shop.medium.view().sales_at_risk > 0
            assert max(shop.waited_s) < 0.3
            sold = len(shop.till.tally)
            stick.resize("1m")
            await shop.state("ready")
            assert shop.left()[0].head == shop.till.journal.synced
            assert len(shop.till.tally) == sold


async def test_a_stick_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with mounted(tmp_path / "stick") as stick:
        stick.make_read_only()
        async with counter(tmp_path, policy_other_than=tmp_path) as shop:
            await shop.state("failed", "mirror-read-only")
            await shop.sell()
            stick.pull()
            await shop.state("absent")
            assert stick.plug()
            await shop.state("ready")
            assert shop.left()[0].head == shop.till.journal.synced


async def test_an_empty_mount_point_is_no_stick(tmp_path: Path) -> None:
    async with counter(tmp_path, policy_other_than=tmp_path) as shop:
        await shop.sell()
        await shop.state("absent")
        assert list(shop.stick.iterdir()) == []
        with mounted(shop.stick):
            await shop.state("ready")
            assert (shop.stick / FOLDER).exists()


async def test_a_medium_that_fails_is_tried_again_and_then_left_alone(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        shop.files.error = errno.EIO
        await shop.sell()
        await shop.state("failed", "mirror-failed")
        appends = -1
        while appends != shop.files.appends:  # until its tries are over, however busy the machine is
            appends = shop.files.appends
            await asyncio.sleep(1.0)
        await shop.sell(3)
        await asyncio.sleep(0.3)
        assert shop.files.appends == appends, "given up until it is plugged in again"
        shop.files.error = 0
        shop.stick.rename(tmp_path / "pocket")
        (tmp_path / "pocket").rename(shop.stick)
        await shop.state("ready")
        assert shop.left()[0].head == shop.till.journal.synced


async def test_a_medium_that_fails_once_goes_on_by_itself(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        shop.files.error = errno.EIO
        await shop.sell()
        await shop.state("failed", "mirror-failed")
        shop.files.error = 0
        await shop.state("ready")
        assert shop.left()[0].head == shop.till.journal.synced


async def test_a_stick_that_lied_is_found_out_when_it_is_plugged_in_again(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        await shop.sell()
        shop.files.lies = True
        await shop.sell(2)
        assert shop.medium.view().sales_at_risk == 0, "so it said"
        shop.stick.rename(tmp_path / "pocket")
        await shop.state("absent")
        shop.files.lies = False
        (tmp_path / "pocket").rename(shop.stick)
        await shop.state("failed", "mirror-lied")
        await shop.sell()
        assert shop.medium.view().sales_at_risk == 4


async def test_somebody_elses_stick_is_left_as_it_is(tmp_path: Path) -> None:
    async with counter(tmp_path, name="till-9", seed=9) as other:
        await other.state("ready")
        await other.sell()
    before = {path: path.read_bytes() for path in (tmp_path / "stick").rglob("*.mirror")}
    async with counter(tmp_path) as shop:
        await shop.sell()
        await shop.state("failed", "mirror-foreign")
        assert [each.id for each in shop.medium.conditions()] == ["mirror-foreign"]
    assert {path: path.read_bytes() for path in (tmp_path / "stick").rglob("*.mirror")} == before


async def test_a_stick_from_another_life_of_the_terminal_is_left_as_it_is(tmp_path: Path) -> None:
    """The card was replaced and the terminal set up anew: its old sales are on the stick alone."""
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        await shop.sell()
    async with counter(tmp_path, journals="-anew") as shop:
        await shop.state("failed", "mirror-foreign")


async def test_a_stick_that_knows_more_than_the_terminal_is_left_as_it_is(tmp_path: Path) -> None:
    """An old copy of the card was put back."""
    async with counter(tmp_path, plugged=False) as shop:
        await shop.sell()
    (tmp_path / "terminal").rename(tmp_path / "copy")
    shutil.copytree(tmp_path / "copy", tmp_path / "terminal")
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        await shop.sell()
    shutil.rmtree(tmp_path / "terminal")
    shutil.copytree(tmp_path / "copy", tmp_path / "terminal")
    async with counter(tmp_path) as shop:
        await shop.state("failed", "mirror-ahead")


async def test_who_was_taken_over_from_does_not_touch_the_stick(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
    head = shop.till.journal.head
    mark_taken(
        tmp_path / "stick", "till-3",
        Taken(epoch="e" * 32, previous_epoch=head.epoch, previous_seq=head.seq, time_ms=1),
    )  # fmt: skip
    async with counter(tmp_path) as shop:
        await shop.state("failed", "mirror-foreign")


async def test_without_a_recovery_key_nothing_is_written(tmp_path: Path) -> None:
    async with counter(tmp_path, recovery=False) as shop:
        await shop.state("failed", "mirror-sealless")
        await shop.sell()
        assert list(shop.stick.iterdir()) == []


async def test_an_epoch_that_was_not_delivered_stays_on_the_stick(tmp_path: Path) -> None:
    async with counter(tmp_path) as shop:
        await shop.state("ready")
        await shop.sell(2)
        older = shop.till.journal.head
        await shop.till.journal.open_epoch("test", shop.till.stamp())
        await shop.sell()
        await eventually(lambda: _epochs(shop.stick) == sorted((older.epoch, shop.till.journal.head.epoch)))
        await shop.sees(lambda view: (view.state, view.sales_at_risk) == ("ready", 0))
        newest, before = left_by(shop.stick, "till-3")
        contents = read_left(newest, recovered(newest.header, RECOVERY_PRIVATE), lambda _: None)
        assert contents.head == shop.till.journal.synced
        secret = bytes.fromhex(contents.base.secrets[older.epoch])
        assert read_left(before, secret, lambda _: None).head == older
        assert shop.medium.view().sales_at_risk == 0


def _epochs(stick: Path) -> list[str]:
    """Of each file that stands on the stick, in order."""
    return sorted(name[:32] for name in terminals_on(stick)["till-3"])


def _size(stick: Path) -> int:
    return sum(path.stat().st_size for path in stick.rglob("*.mirror"))


def test_each_fault_has_its_words() -> None:
    assert set(FAULTS) <= set(WORDS)
