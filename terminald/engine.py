"""The engine: queue -> read -> question -> step -> journal -> fold -> effects, one event at a time.

Nothing is done before the records that call for it are as durable as they ask to be. The till's state is the fold of
the journal and is never written by anything else, so that a start after a power cut is the same fold again.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from core import entries as e
from core import events as v
from core.catalogue import Item
from core.closing import is_overdue
from core.effects import AnyEffect
from core.fold import apply
from core.history import Original
from core.ledger import ClockQuality, Record, Stamp, open_record
from core.permissions import NEEDED, Operator
from core.ports import Clock, Journal, JournalError
from core.product_recall import ProductRecall, gtins_of
from core.sale import read, step
from core.signs import signs
from core.state import Completed, Idle, Shop, Till
from core.step import (
    Badge,
    CouponShown,
    CustomerWanted,
    Facts,
    GiftCardShown,
    ItemWanted,
    OperatorWanted,
    OriginalWanted,
    PaperWanted,
    ParkedWanted,
    Question,
    RecallsWanted,
    Step,
    UsualWanted,
    WalletShown,
    look_up,
)
from core.text import Message
from core.training import in_training, unwrapped
from core.usual import Usual
from core.view import NoticeView
from terminald.timekeeper import Timekeeper

EVENTS_MAX = 4096
SPOILT = {
    "check-digit-wrong": "misreads",
    "codes-glued": "glued",
    "code-separator-lost": "lost_separators",
    "code-not-valid": "damaged",
}
"""Refusals that speak of the scanner, by what they are counted as."""
KEYS_MAX = 1024
"""Idempotency keys of orders that the engine remembers itself; older ones are looked up in the journal."""
CHECKPOINT_RECORDS = 2_000
"""A checkpoint of the till is kept after so many records, so that a start replays a bounded number of them."""
CHECKPOINT_VERSION = 1

_log = logging.getLogger(__name__)


class Checkpoint(Protocol):
    """The till's state as it was after the record `seq` of `epoch`."""

    @property
    def epoch(self) -> str:
        """The epoch of that record."""

    @property
    def seq(self) -> int:
        """The last record in it."""

    @property
    def state(self) -> bytes:
        """What `save_checkpoint` was given."""


class CheckpointedJournal(Journal, Protocol):
    """A journal that can also be replayed, and keeps checkpoints of what was folded from it."""

    async def save_checkpoint(self, seq: int, state: bytes) -> None:
        """Keeps the state after record `seq` of the current epoch."""

    async def load_checkpoint(self) -> Checkpoint | None:
        """The newest state kept."""

    def replay(self, after_seq: int = 0, epoch: str | None = None) -> AsyncIterator[Record]:
        """The records after `after_seq` of `epoch` and of all epochs since; from the journal's first one, if None."""

    async def begins_whole(self) -> bool:
        """Whether the journal has its records from the terminal's first one on."""

    async def open_epoch(
        self, reason: str, stamp: Stamp, *, number: int = 0, skip: int = 0, lost_seq: int = 0
    ) -> e.EpochOpened:
        """Ends the current epoch, and opens one whose first entry this is."""


Secure = Callable[[Sequence[Record], bool], Awaitable[None]]
"""Puts committed records elsewhere too; `True` where they move money. Never raises."""


def state_of(till: Till) -> bytes:
    """A till's state as a checkpoint keeps it."""
    return msgspec.json.encode((CHECKPOINT_VERSION, till))


def _goods_of(question: Question | None, item: Item | None) -> tuple[str, ...]:
    """The goods of which it matters whether they are recalled."""
    match question:
        case ItemWanted(reading=reading) if item is not None:
            return gtins_of(reading.gtin, item.item)
        case RecallsWanted(gtins=gtins) | ParkedWanted(recalled_by=gtins):
            return gtins
        case CouponShown(recalled_by=gtins) | WalletShown(recalled_by=gtins) | GiftCardShown(recalled_by=gtins):
            return gtins
        case _:
            return ()


def till_of(state: bytes) -> Till | None:
    """The till in a checkpoint; None where another version of this software wrote it."""
    try:
        version, till = msgspec.json.decode(state, type=tuple[int, msgspec.Raw])
        return msgspec.json.decode(till, type=Till) if version == CHECKPOINT_VERSION else None
    except msgspec.MsgspecError:
        return None


class Doubles:
    """Tells a double read: the same code by the same scanner within a window is one presentation, not two.

    Of a code only its hash is kept (Python's, keyed anew at each start): it may be one that pays.
    """

    def __init__(self, window_ms: int) -> None:
        self.count = 0
        self._window_ms = window_ms
        self._last: dict[str, tuple[int, int]] = {}

    def is_double(self, event: v.Scanned, mono_ms: int) -> bool:
        code = hash(event.data)
        last, at_ms = self._last.get(event.device, (0, 0))
        double = code == last and mono_ms - at_ms < self._window_ms
        self._last[event.device] = (code, mono_ms)
        self.count += double
        return double


@dataclass(frozen=True, slots=True)
class _Queued:
    event: v.AnyEvent
    key: str | None = None
    approver: Operator | None = None
    waiter: asyncio.Future[Step] | None = None


class Engine:
    """Runs the till. `lookup` and `identify` answer what `core.sale.read` asks; `perform` has an effect done.

    `lookup` is given a GTIN and the local time (ISO 8601) at which its price is wanted, `recalls` GTINs. `blocked` names why no new sale
    may begin now, or gives None. `paper` recalls a finished sale that was looked for. `secure` has what was kept put elsewhere too, before anything is done because of it.
    """

    def __init__(
        self,
        *,
        shop: Shop,
        journal: CheckpointedJournal,
        clock: Clock,
        local_time: Callable[[Stamp], datetime],
        lookup: Callable[[str, str], Item | None],
        recalls: Callable[[Sequence[str]], tuple[ProductRecall, ...]] = lambda gtins: (),
        identify: Callable[[str], Awaitable[str]],
        badge_of: Callable[[str], Awaitable[Badge | None]] | None = None,
        perform: Callable[[AnyEffect], None],
        changed: Callable[[], None],
        software: str,
        double_read_ms: int = 0,
        blocked: Callable[[], str | None] = lambda: None,
        secure: Secure | None = None,
        timekeeper: Timekeeper | None = None,
        refreshed: Callable[[Shop], Shop] = lambda shop: shop,
        usual: Callable[[str], Awaitable[Usual | None]] | None = None,
        paper: Callable[[int], Completed | None] = lambda number: None,
        original: Callable[[int, str], Awaitable[Original | None]] | None = None,
        on_hand: Callable[[str], int | None] = lambda gtin: None,
    ) -> None:
        self.shop = shop
        self._refreshed = refreshed
        self._usual_of = usual
        self._paper = paper
        self._original_of = original
        self._on_hand = on_hand
        self.till = Till()
        self.notice: NoticeView | None = None
        self.doubles = Doubles(double_read_ms)
        self.touched_ms = 0
        """When somebody last did something at the till, by the clock that never goes back."""
        self.spoilt: Counter[tuple[str, str]] = Counter()
        """Codes that came wrong, by the scanner that gave them and what was wrong (`SPOILT`)."""
        self._journal = journal
        self._local_time = local_time
        self._lookup = lookup
        self._recalls = recalls
        self._identify = identify
        self._badge_of = badge_of
        self._perform = perform
        self._changed = changed
        self._software = software
        self._blocked = blocked
        self._secure = secure
        self._time = timekeeper or Timekeeper(clock, local_time)
        self._folded: tuple[str, int] | None = None
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue(EVENTS_MAX)
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._checkpointed_seq = 0
        self._turn = asyncio.Lock()

    async def boot(self) -> int:
        """Folds the journal, says so in it, and resolves what was pending. Returns the number of records folded."""
        self.shop = self._refreshed(self.shop)
        count = await self._fold()
        self._time.begin(await self._last_stamp(), self.till.clock_doubted)
        clean = not self.till.started
        await self._keep((e.DaemonStarted(software=self._software, clean=clean),), None)
        await self._take(v.Booted(), None)
        return count

    @property
    def clock_doubtful(self) -> bool:
        """Whether the wall clock is not to be believed."""
        return self._time.doubtful

    @property
    def local_time(self) -> str:
        """The shop's local time now (ISO 8601)."""
        return self._local_time(self._time.stamp()).isoformat(timespec="seconds")

    @property
    def closing_forgotten(self) -> str | None:
        """The business day of a session that should have been closed by now."""
        stamp, session = self._time.stamp(), self.till.books.session
        local = self._local_time(stamp).isoformat(timespec="seconds")
        late = is_overdue(self.shop, self.till, self._time.business_day(stamp), local)
        return session.business_day if late and session is not None else None

    async def run(self) -> None:
        """Takes events for ever. Raises JournalError when the journal does; the process must end then."""
        while True:
            queued = await self._queue.get()
            waiter = queued.waiter
            try:
                async with self._turn:
                    taken = await self._take(queued.event, queued.key, queued.approver)
            except BaseException as error:
                if waiter is not None and not waiter.done():
                    waiter.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                raise
            finally:
                self._queue.task_done()
            if waiter is not None and not waiter.done():
                waiter.set_result(taken)

    def post(self, event: v.AnyEvent) -> None:
        """Queues a fact from a device. Never blocks; a full queue is said and the event is dropped."""
        try:
            self._queue.put_nowait(_Queued(event))
        except asyncio.QueueFull:
            _log.error("the till cannot keep up: an event was dropped", extra={"event": type(event).__name__})

    async def order(self, event: v.AnyEvent, key: str | None = None, approver: Operator | None = None) -> Step:
        """Queues an operator's order and returns what came of it. The same `key` has its order done once only.

        `approver` allows this one order; whoever calls has seen his PIN.
        """
        waiter: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Queued(event, key, approver, waiter))
        return await waiter

    async def stop(self) -> None:
        """Finishes what is queued and says goodbye in the journal. What comes after that is not taken any more."""
        await self._queue.join()
        # Kept for good: an event between the last word and the checkpoint would be in the one and not in the other.
        await self._turn.acquire()
        await self._keep((e.DaemonStopped(),), None)
        if isinstance(self.till.sale, Idle):
            await self._checkpoint()

    def snapshot(self) -> tuple[str, int, bytes] | None:
        """The till's state with the epoch and the seq of the last record in it; None before the first one of this run."""
        return (*self._folded, state_of(self.till)) if self._folded is not None else None

    def spoilt_scans(self) -> dict[str, int]:
        """How many codes of all scanners came wrong, for telemetry."""
        return {
            f"scans_{name}": sum(count for (_, kind), count in self.spoilt.items() if kind == name)
            for name in SPOILT.values()
        }

    async def note(self, *entries: e.AnyEntry) -> None:
        """Keeps something that is no event at the till, between two that are."""
        async with self._turn:
            await self._keep(entries, None)

    async def rest(self) -> None:
        """Waits until no event is being taken."""
        async with self._turn:
            pass

    async def open_epoch(self, reason: str, *, skip: int = 0, lost_seq: int = 0) -> None:
        """Goes on under another epoch, between two events; the till and its sale stay as they are."""
        async with self._turn:
            opened = await self._journal.open_epoch(
                reason, self._time.stamp(), number=self.till.next_number - 1, skip=skip, lost_seq=lost_seq
            )
            self.till = apply(self.till, opened)
            self._folded = self._journal.head.epoch, self._journal.head.seq
            self._checkpointed_seq = 0
            self._changed()

    async def keep(self, entry: e.AnyEntry, key: str | None = None) -> None:
        """Keeps what did not happen at the counter, between two events; once under a `key`."""
        async with self._turn:
            await self._keep((entry,), key)
            self._changed()

    async def _take(self, event: v.AnyEvent, key: str | None, approver: Operator | None = None) -> Step:
        if key is not None and await self._is_known(key):
            return Step(notice=Message(id="already-done"))
        stamp = self._time.stamp()
        if event.tag in NEEDED:
            self.touched_ms = stamp.mono_ms
        if isinstance(event, v.Scanned) and self.doubles.is_double(event, stamp.mono_ms):
            return Step(notice=Message(id="double-read"))
        if isinstance(self.till.sale, Idle):
            self.shop = self._refreshed(self.shop)  # a sale keeps the promotions that it began with
        taken = step(self.shop, self.till, event, await self._facts(event, stamp, approver))
        if isinstance(event, v.Scanned) and taken.notice is not None and taken.notice.id in SPOILT:
            self.spoilt[event.device, SPOILT[taken.notice.id]] += 1
        if taken.refused:
            key = None  # Nothing was done: the same order may be tried again.
        if taken.entries:
            await self._keep(taken.entries, key)
        if key is not None:
            self._remember(key)
        for effect in (*taken.effects, *signs(*in_training(self.shop, self.till), event, unwrapped(taken))):
            self._perform(effect)
        if taken.notice is not None:
            serial = self.notice.serial + 1 if self.notice else 1
            self.notice = NoticeView(serial=serial, level=taken.level, message=taken.notice)
        self._changed()
        if self._journal.head.seq - self._checkpointed_seq >= CHECKPOINT_RECORDS and isinstance(self.till.sale, Idle):
            await self._checkpoint()
        return taken

    async def _facts(self, event: v.AnyEvent, stamp: Stamp, approver: Operator | None) -> Facts:
        local = self._local_time(stamp)
        local_time = local.isoformat(timespec="seconds")
        today = self._time.business_day(stamp)
        question = read(self.shop, self.till, event, today)
        item = None
        if isinstance(question, ItemWanted):
            question, item = look_up(question, lambda gtin: self._lookup(gtin, local_time))
        badge = await self._badge(question)
        original, history_fault = await self._original(question)
        return Facts(
            business_day=today,
            local_time=local_time,
            question=question,
            item=item,
            recalls=self._recalls(_goods_of(question, item)),
            on_hand_milli=self._left(event, item),
            original=original,
            history_fault=history_fault,
            items=self._items(question, local_time),
            deposit=self._lookup(item.deposit, local_time) if item is not None and item.deposit is not None else None,
            usual=await self._usual(event, question),
            customer=await self._customer(question.uid) if isinstance(question, CustomerWanted) and not badge else None,
            account=await self._customer(question.card.uid) or "" if isinstance(question, GiftCardShown) else "",
            badge=badge,
            approver=approver,
            blocked=self._blocked(),
            epoch=self._journal.head.epoch,
            found=self._paper(question.number) if isinstance(question, PaperWanted) else None,
            clock_sure=stamp.clock is not ClockQuality.UNSYNCED,
        )

    def _left(self, event: v.AnyEvent, item: Item | None) -> int | None:
        """How much is on the shelf of an item whose price is looked up."""
        return (
            self._on_hand(item.item or item.gtin) if isinstance(event, v.PriceCheckKeyed) and item is not None else None
        )

    def _items(self, question: Question | None, local_time: str) -> tuple[Item, ...]:
        """What the catalogue has of a parked basket's goods."""
        if not isinstance(question, ParkedWanted):
            return ()
        found = (self._lookup(gtin, local_time) for gtin in question.gtins)
        return tuple(item for item in found if item is not None)

    async def _original(self, question: Question | None) -> tuple[Original | None, bool]:
        """The finished transaction that is asked for, and whether the history could not tell."""
        if not isinstance(question, OriginalWanted):
            return None, False
        if self._original_of is None:
            return None, True
        try:
            return await self._original_of(question.number, question.epoch), False
        except (TimeoutError, JournalError) as error:
            _log.warning("a finished transaction cannot be looked up", extra={"reason": type(error).__name__})
            return None, True

    async def _usual(self, event: v.AnyEvent, question: Question | None) -> Usual | None:
        """What is usual of the goods that an event prices or counts."""
        if self._usual_of is None:
            return None
        if isinstance(question, UsualWanted):
            return await self._usual_of(question.gtin)
        if isinstance(event, v.OpenPriceKeyed) and isinstance(question, ItemWanted):
            return await self._usual_of(question.reading.gtin)
        return None

    async def _badge(self, question: Question | None) -> Badge | None:
        """Whose badge it is, where operators sign on: a tag is a badge before it is a customer's."""
        if self._badge_of is None or not self.shop.sign_on:
            return None
        match question:
            case CustomerWanted(uid=shown) | OperatorWanted(badge=shown):
                return await self._badge_of(shown)
            case _:
                return None

    async def _customer(self, uid: str) -> str | None:
        """Whose tag it is. A customer store that cannot be written costs the customer's points, not the sale."""
        try:
            return await self._identify(uid)
        except JournalError as error:
            _log.error("a tag's customer cannot be looked up", extra={"fault": error.code})
            return None

    async def _keep(self, entries: tuple[e.AnyEntry, ...], key: str | None) -> None:
        """Folds first, so that an entry that cannot follow is a fault of ours before it is in the journal for ever."""
        till, stamp = self.till, self._time.stamp()
        if (stepped := self._time.take_step()) is not None:
            entries = (*entries, stepped)
        for entry in entries:
            till = apply(till, entry)
        drafts = [e.draft(entry) for entry in entries]
        records = await self._journal.append(drafts, stamp, key=key)
        self.till = till
        self._folded = records[-1].epoch, records[-1].seq
        if self._secure is not None:
            await self._secure(records, any(draft.moves_money for draft in drafts))

    async def _is_known(self, key: str) -> bool:
        return key in self._keys or await self._journal.find(key) is not None

    def _remember(self, key: str) -> None:
        self._keys[key] = None
        if len(self._keys) > KEYS_MAX:
            self._keys.popitem(last=False)

    async def _checkpoint(self) -> None:
        self._checkpointed_seq = self._journal.head.seq
        await self._journal.save_checkpoint(self._checkpointed_seq, state_of(self.till))

    async def _last_stamp(self) -> Stamp | None:
        """When the journal's last record was made, which is not always a good clock's word. None at a first boot."""
        head = self._journal.head
        if head.seq == 1:
            return None  # the first record of an epoch was made by this start
        (last,) = await self._journal.read(head.epoch, head.seq - 1, 1)
        said = open_record(last.exact)
        return Stamp(time_ms=said.time_ms, clock=said.clock, boot=said.boot, mono_ms=said.mono_ms)

    async def _fold(self) -> int:
        """The journal's fold: from the newest checkpoint, over epochs if need be. Returns the number of records folded."""
        kept = await self._journal.load_checkpoint()
        restored = kept is not None and self._restore(kept)
        after = (kept.seq, kept.epoch) if kept is not None and restored else (0, None)
        strict = restored or await self._journal.begins_whole()
        count = 0
        async for record in self._journal.replay(*after):
            entry = e.decode(open_record(record.exact).body)
            try:
                self.till = apply(self.till, entry)
            except AssertionError:
                if strict:
                    raise  # else it ends something whose beginning is not here
            count += 1
        return count

    def _restore(self, kept: Checkpoint) -> bool:
        """Takes a checkpoint; one of another version is left, and the whole journal folded instead."""
        till = till_of(kept.state)
        if till is None:
            _log.warning("the checkpoint cannot be read; the whole journal is folded instead")
            return False
        self.till = till
        self._checkpointed_seq = kept.seq if kept.epoch == self._journal.head.epoch else 0
        return True
