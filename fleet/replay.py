"""Sends a restored terminal the records that its backup lacks: the exact bytes that headquarters keeps.

Whoever asks must have the key that the terminal is known by. Each request is answered by a few batches and then by what
there is; the terminal asks again for the rest, so a terminal that went away costs nothing, and many that were restored at
once take turns.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from core import topics
from core.delivery import BATCH_RECORDS_MAX, compose, cut, encode
from core.entries import EpochOpened, decode
from core.ledger import GENESIS, Head, Record, open_record
from core.ports import Signer
from core.recall import EPOCHS_MAX, Holding, Holdings, Recall, RecallError, encode_holdings, open_recall
from fleet.database import DatabaseError
from fleet.keys import shared_group
from fleet.store import Address, Statements, reading
from terminald.broker import Message, MqttError, SubscriptionRefused
from terminald.mqtt import Connection

BATCHES_MAX = 4
"""Batches in one answer."""
WAITING_MAX = 10_000
"""Terminals whose request may wait; of one terminal only the newest request does."""

_log = logging.getLogger(__name__)


class Replayer:
    """Answers requests; a `terminald.uplink.User`. Reads the database beside the collector that writes it.

    `shared`: others answer too; each request is given to one."""

    def __init__(self, *, database: Address, key: Signer, shared: bool = False) -> None:
        self._database = database
        self._requests = (
            topics.shared(shared_group(key, "recalls"), topics.EVERY_RECALL) if shared else topics.EVERY_RECALL
        )
        self._key = key
        self._thread = ThreadPoolExecutor(1, "replay")
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._wake = asyncio.Event()

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled, or until the broker's rules forbid it. Raises MqttError."""
        self._waiting.clear()
        try:
            await connection.subscribe(self._requests, lambda message: self._on_recall(connection, message))
        except SubscriptionRefused as error:
            _log.error("no terminal can get records back: %s: %s. %s", error.code, error, error.remedy)
            return
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                terminal, payload = self._waiting.popitem(last=False)
                await self._answer(connection, terminal, payload)

    def close(self) -> None:
        """Lets go of the thread. May be called twice."""
        self._thread.shutdown()

    def _on_recall(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        try:
            terminal = topics.terminal_of(message.topic)
        except ValueError:
            return
        if terminal in self._waiting or len(self._waiting) < WAITING_MAX:
            self._waiting[terminal] = message.payload
            self._wake.set()

    async def _answer(self, connection: Connection, terminal: str, payload: bytes) -> None:
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, answer, self._database, self._key, terminal, payload
        )
        try:
            messages = await asyncio.shield(work)
        except (RecallError, DatabaseError) as error:
            _log.error("records are not sent back to %s: %s: %s", terminal, error.code, error)
            return
        for message in messages:
            try:
                await connection.publish(topics.replay(terminal), message)
            except MqttError as error:
                _log.warning("records could not be sent back to %s: %s", terminal, error)
                return


def answer(database: Address, key: Signer, terminal: str, payload: bytes) -> list[bytes]:
    """The messages that answer a request. Raises RecallError where it is not the terminal's, DatabaseError."""
    with reading(database) as statements:
        row = statements.execute("SELECT signing_key FROM terminal WHERE id = ?", (terminal,)).fetchone()
        if row is None:
            raise RecallError(f"nothing is known of {terminal}")
        recall = open_recall(terminal, payload, row[0])
        batches = _batches(statements, key, recall) if recall.epoch else []
        return [*batches, encode_holdings(holdings(statements, terminal, recall.nonce), key.sign)]


def holdings(statements: Statements, terminal: str, nonce: str) -> Holdings:
    """What the database holds of a terminal."""
    (number,) = statements.execute(
        "SELECT coalesce(max(number), 0) FROM retail_transaction WHERE terminal = ?", (terminal,)
    ).fetchone()
    rows = statements.execute(
        "SELECT e.epoch, (SELECT max(seq) FROM record r WHERE r.terminal = e.terminal AND r.epoch = e.epoch),"
        " (SELECT exact FROM record r WHERE r.terminal = e.terminal AND r.epoch = e.epoch AND r.seq = 1)"
        " FROM epoch e WHERE e.terminal = ?",
        (terminal,),
    ).fetchall()
    epochs = []
    for epoch, top_seq, first in rows:
        opened = _opened(first)
        number = max(number, opened.number if opened else 0)
        if top_seq is not None:
            previous = (opened.previous_epoch or "", opened.previous_seq) if opened else ("", 0)
            epochs.append(Holding(epoch=epoch, top_seq=top_seq, previous_epoch=previous[0], previous_seq=previous[1]))
    return Holdings(terminal=terminal, nonce=nonce, number=number, epochs=_in_order(epochs)[-EPOCHS_MAX:])


def _batches(statements: Statements, key: Signer, recall: Recall) -> list[bytes]:
    """What follows without a gap, a few batches at most."""
    prev = Head(epoch=recall.epoch, seq=0, hash=GENESIS)
    if recall.after_seq:
        row = statements.execute(
            "SELECT hash FROM record WHERE terminal = ? AND epoch = ? AND seq = ?",
            (recall.terminal, recall.epoch, recall.after_seq),
        ).fetchone()
        if row is None:
            return []  # it has records that never came here
        prev = Head(epoch=recall.epoch, seq=recall.after_seq, hash=row[0])
    batches: list[bytes] = []
    while len(batches) < BATCHES_MAX and (records := cut(_following(statements, recall.terminal, prev))):
        batches.append(encode(compose(recall.terminal, prev, records, key.sign)))
        prev = Head(epoch=recall.epoch, seq=records[-1].seq, hash=records[-1].hash)
    return batches


def _following(statements: Statements, terminal: str, prev: Head) -> Sequence[Record]:
    rows = statements.execute(
        "SELECT seq, exact, hash FROM record WHERE terminal = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT ?",
        (terminal, prev.epoch, prev.seq, BATCH_RECORDS_MAX),
    )
    records = []
    for due, (seq, exact, hash_) in enumerate(rows, prev.seq + 1):
        if seq != due:
            break
        records.append(Record(epoch=prev.epoch, seq=seq, exact=exact, hash=hash_))
    return records


def _opened(exact: bytes | None) -> EpochOpened | None:
    if exact is None:
        return None
    try:
        opened = decode(open_record(exact).body)
    except ValueError:
        return None
    return opened if isinstance(opened, EpochOpened) else None


def _in_order(epochs: Sequence[Holding]) -> tuple[Holding, ...]:
    """An epoch after the one that it names."""
    left = {each.epoch: each for each in epochs}
    ordered: list[Holding] = []
    while left:
        ready = [each for each in left.values() if each.previous_epoch not in left] or list(left.values())
        ordered += ready
        for each in ready:
            del left[each.epoch]
    return tuple(ordered)
