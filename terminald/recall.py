"""After a restore: asks headquarters for the records that the backup lacks, and takes them back while the till sells.

Only a journal whose line has a restored epoch, for which this was not done, asks at all. What comes is checked against the
last record that is here and taken back as it is; what is held back, lost or doubled on the way is asked for again. In the
end an entry says what came back, so that the day's totals and the numbers are right, and it is not done again.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Protocol

from core import topics
from core.delivery import BatchError, Verified, check, decode
from core.entries import (
    RESTORED,
    EpochOpened,
    PaymentApproved,
    PaymentDeclined,
    PaymentRequested,
    PaymentReversed,
    PaymentSetAside,
    RecordsReturned,
    RefundRequested,
    StoredValueApproved,
    StoredValueRefused,
    StoredValueRequested,
    TransactionCompleted,
    TransactionOpened,
    ZReported,
)
from core.entries import decode as decode_entry
from core.ledger import GENESIS, Head, Record, open_record
from core.ports import Clock, Journal, Signer
from core.recall import Holding, Holdings, Recall, RecallError, encode_recall, is_holdings, open_holdings
from core.window import backoff_s
from store.errors import RecordsRefused
from terminald.broker import Broker, Message, MqttError, SubscriptionRefused
from terminald.mqtt import Connection, connect

ANSWER_TIMEOUT_S = 10.0
ASK_AGAIN_AFTER_S = 2.0
ASK_AGAIN_AFTER_MAX_S = 300.0
ANSWERS_WAITING_MAX = 64
"""Messages that wait to be looked at; one more is dropped, and asked for again."""
COMMIT_RECORDS = 100
"""Records taken back in one commit: a sale waits for no more than that."""
PAUSE_S = 0.02
"""Between two of those commits."""
PAGE_RECORDS = 500
SILENT_MAX = 3
"""Answers in a row that bring nothing though there is more, before what is missing is given up."""

_log = logging.getLogger(__name__)


class Span(Protocol):
    """An epoch of the journal: the head before its first record here, and the last seq."""

    @property
    def prev(self) -> Head:
        """The head before the first record."""

    @property
    def last(self) -> int:
        """The last seq."""


class Returning(Journal, Protocol):
    """A journal that takes records of former epochs back."""

    async def spans(self) -> Sequence[Span]:
        """All epochs in their order."""

    async def take_back(self, records: Sequence[Record]) -> None:
        """Adds records of a former epoch. Raises RecordsRefused."""


Keep = Callable[[RecordsReturned, str], Awaitable[None]]
"""Has the till keep an entry, once under an idempotency key."""


class Recaller:
    """Gets back what the backup lacked; a `terminald.uplink.User`."""

    def __init__(
        self,
        *,
        terminal: str,
        journal: Returning,
        signer: Signer,
        ack_key: bytes,
        clock: Clock,
        random: Random,
        keep: Keep,
        on_change: Callable[[], None] = lambda: None,
        on_returned: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`on_returned` is awaited once all is back, before an entry says so; cut off there, it comes again."""
        self.pending: dict[str, int] = {}
        """Epochs that a restored one names, with the record that it names: what followed is not back yet."""
        self.fault: str | None = None
        """Why nothing comes back, for technicians: a stable code, a colon and the details."""
        self.returned = 0
        """Records taken back since the start."""
        self._terminal = terminal
        self._journal = journal
        self._signer = signer
        self._ack_key = ack_key
        self._clock = clock
        self._random = random
        self._keep = keep
        self._on_change = on_change
        self._on_returned = on_returned
        self._nonce = ""
        self._answers: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._faults: dict[str, str] = {}

    def is_whole(self, epoch: str) -> bool:
        """Whether nothing more of an epoch is to come back."""
        return epoch not in self.pending

    async def load(self) -> None:
        """Looks whether something is to come back."""
        pending = {}
        for span in await self._journal.spans():
            first = await self._journal.read(span.prev.epoch, 0, 1)
            opened = _opened(first[0]) if first and first[0].seq == 1 else None
            if (
                opened is not None
                and opened.reason == RESTORED
                and opened.previous_epoch is not None
                and await self._journal.find(_key(opened.previous_epoch)) is None
            ):
                pending[opened.previous_epoch] = opened.previous_seq
        self.pending = pending

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError."""
        if not self.pending:
            return
        self._answers.clear()
        try:
            await connection.subscribe(
                topics.replay(self._terminal), lambda message: self._on_answer(connection, message)
            )
        except SubscriptionRefused as error:
            self._say(f"{error.code}: {error}")
            return
        attempt = 0
        while self.pending:
            try:
                await self._round(connection)
                attempt = 0
            except TimeoutError:
                self._say("headquarters-silent: it does not answer what it has of this terminal")
            if self.pending:
                attempt += 1
                await self._clock.sleep(
                    backoff_s(attempt, self._random.random(), ASK_AGAIN_AFTER_S, ASK_AGAIN_AFTER_MAX_S)
                )
        connection.unsubscribe(topics.replay(self._terminal))

    def _on_answer(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        if len(self._answers) < ANSWERS_WAITING_MAX:
            self._answers.append(message.payload)
            self._arrived.set()

    async def _round(self, connection: Connection) -> None:
        """Everything that headquarters has, epoch by epoch; then the entries that say so. Raises TimeoutError."""
        self._faults.clear()
        holdings = await self._ask(connection, "", 0)
        for holding in holdings.epochs:
            if holding.epoch != self._journal.head.epoch:
                await self._bring(connection, holding)
        if self._on_returned is not None:
            await self._on_returned()
        await self._finish(holdings)
        self._say(None)

    async def _bring(self, connection: Connection, holding: Holding) -> None:
        silent = 0
        while (reached := await self._reached(holding.epoch)) < holding.top_seq and silent < SILENT_MAX:
            try:
                await self._ask(connection, holding.epoch, reached)
            except RecordsRefused as error:
                _log.error("records that headquarters sent back are not taken", extra={"reason": error.code})
                self._faults[holding.epoch] = f"{error.code}: {error}"
                return
            silent = 0 if await self._reached(holding.epoch) > reached else silent + 1
        if silent:
            self._faults[holding.epoch] = f"records-missing: headquarters lacks record {reached + 1}"

    async def _ask(self, connection: Connection, epoch: str, after_seq: int) -> Holdings:
        """One request; takes back what comes, until the answer that ends it. Raises TimeoutError, RecordsRefused, MqttError."""
        self._nonce = secrets.token_hex(8)
        recall = Recall(terminal=self._terminal, nonce=self._nonce, epoch=epoch, after_seq=after_seq)
        await connection.publish(topics.recall(self._terminal), encode_recall(recall, self._signer.sign))
        async with asyncio.timeout(ANSWER_TIMEOUT_S) as patience:
            while True:
                payload = await self._next()
                try:
                    if is_holdings(payload):
                        holdings = open_holdings(self._terminal, payload, self._ack_key)
                        if holdings.nonce == self._nonce:
                            return holdings
                        continue
                    batch = check(decode(payload), self._terminal, self._ack_key)
                except (RecallError, BatchError) as error:
                    _log.warning("not from headquarters: %s: %s", error.code, error)
                    continue
                await self._take(batch)
                patience.reschedule(asyncio.get_running_loop().time() + ANSWER_TIMEOUT_S)

    async def _next(self) -> bytes:
        while not self._answers:
            self._arrived.clear()
            await self._arrived.wait()
        return self._answers.popleft()

    async def _take(self, batch: Verified) -> None:
        """Takes a batch back, as far as it is new; one that does not follow what is here is left."""
        epoch = batch.header.epoch
        if epoch == self._journal.head.epoch:
            return
        reached = await self._reached(epoch)
        records = [record for record in batch.records if record.seq > reached]
        if not records or records[0].seq != reached + 1:
            return
        for first in range(0, len(records), COMMIT_RECORDS):
            await self._journal.take_back(records[first : first + COMMIT_RECORDS])
            self.returned += len(records[first : first + COMMIT_RECORDS])
            await self._clock.sleep(PAUSE_S)
        self._on_change()

    async def _reached(self, epoch: str) -> int:
        for span in await self._journal.spans():
            if span.prev.epoch == epoch:
                return max(span.last, span.prev.seq)
        return 0

    # --- what came back ---

    async def _finish(self, holdings: Holdings) -> None:
        """An entry for each epoch of which something came back; those that were waited for come last."""
        line = set(await self._line())
        strays = [each.epoch for each in holdings.epochs if each.epoch not in line]
        for epoch in (*strays, *list(self.pending)):
            if await self._journal.find(_key(epoch)) is None:
                after = self.pending.get(epoch, 0)
                entry = await self._summary(epoch, after, holdings.number)
                if entry is not None or epoch in self.pending:
                    entry = entry or RecordsReturned(epoch=epoch, first=after + 1, last=after, head="")
                    await self._keep(entry, _key(epoch))
                    _log.info("records came back", extra={"first": entry.first, "last": entry.last})
            self.pending.pop(epoch, None)
            self._on_change()

    async def _line(self) -> list[str]:
        """The present epoch and those that led to it."""
        epochs = [self._journal.head.epoch]
        known = {span.prev.epoch for span in await self._journal.spans()}
        while True:
            first = await self._journal.read(epochs[-1], 0, 1)
            opened = _opened(first[0]) if first and first[0].seq == 1 else None
            if opened is None or opened.previous_epoch is None or opened.previous_epoch not in known:
                return epochs
            epochs.append(opened.previous_epoch)

    async def _summary(self, epoch: str, after: int, number: int) -> RecordsReturned | None:
        """What stands in the records of an epoch beyond one of them."""
        total = _Total()
        seq, head = after, GENESIS
        while records := await self._journal.read(epoch, seq, PAGE_RECORDS):
            for record in records:
                total.take(record)
            seq, head = records[-1].seq, records[-1].hash
        if seq == after:
            return None
        return RecordsReturned(
            epoch=epoch,
            first=after + 1,
            last=seq,
            head=head.hex(),
            transactions=total.transactions,
            number=max(number, total.number),
            business_day=total.day,
            day_transactions=total.day_transactions,
            day_amount_minor=total.day_amount_minor,
            unsettled=tuple(sorted(total.unsettled)),
            fault=self._faults.get(epoch),
            z=total.z,
        )

    def _say(self, fault: str | None) -> None:
        if fault != self.fault and fault is not None:
            _log.warning("records are not back yet: %s", fault)
        self.fault = fault
        self._on_change()


class _Total:
    """Sums up records that came back."""

    def __init__(self) -> None:
        self.transactions = self.number = self.day_transactions = self.day_amount_minor = 0
        self.day = ""
        self.unsettled: set[str] = set()
        self.z: ZReported | None = None

    def take(self, record: Record) -> None:
        entry = decode_entry(open_record(record.exact).body)
        match entry:
            case TransactionOpened():
                self.number = max(self.number, entry.number)
            case TransactionCompleted():
                self.transactions += 1
                if entry.business_day > self.day:
                    self.day, self.day_transactions, self.day_amount_minor = entry.business_day, 0, 0
                if entry.business_day == self.day:
                    self.day_transactions += 1
                    self.day_amount_minor += entry.total_minor
            case PaymentRequested() | RefundRequested() | StoredValueRequested():
                self.unsettled.add(entry.reference)
            case (
                PaymentApproved()
                | PaymentDeclined()
                | PaymentReversed()
                | PaymentSetAside()
                | StoredValueApproved()
                | StoredValueRefused()
            ):
                self.unsettled.discard(entry.reference)
            case ZReported():
                self.z = entry
            case _:
                pass


def recall_facts(recaller: Recaller | None) -> dict[str, str | int | float | bool | None]:
    """For telemetry."""
    return {
        "recall_pending": recaller is not None and bool(recaller.pending),
        "recall_records": recaller.returned if recaller is not None else 0,
        "recall_fault": recaller.fault if recaller is not None else None,
    }


async def ask_holdings(
    broker: Broker, terminal: str, signer: Signer, ack_key: bytes, timeout_s: float
) -> Holdings | None:
    """What headquarters has of a terminal; None where it cannot be asked within `timeout_s`, for whatever reason."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    recall = Recall(terminal=terminal, nonce=secrets.token_hex(8))
    try:
        async with asyncio.timeout(timeout_s), connect(broker, terminal) as connection:

            def on_answer(message: Message) -> None:
                connection.acknowledge(message)
                answers.put_nowait(message.payload)

            await connection.subscribe(topics.replay(terminal), on_answer)
            await connection.publish(topics.recall(terminal), encode_recall(recall, signer.sign))
            while True:
                payload = await answers.get()
                if is_holdings(payload):
                    holdings = open_holdings(terminal, payload, ack_key)
                    if holdings.nonce == recall.nonce:
                        return holdings
    except (TimeoutError, MqttError, RecallError) as error:
        _log.warning("headquarters cannot be asked", extra={"fault": str(error) or "no answer in time"})
        return None


def _key(epoch: str) -> str:
    return f"returned-{epoch}"


def _opened(record: Record) -> EpochOpened | None:
    entry = decode_entry(open_record(record.exact).body)
    return entry if isinstance(entry, EpochOpened) else None
