"""`terminald-fleet collect`: puts broker, database and key together, and keeps them running."""

import asyncio
import logging
import math
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from core import topics
from fleet.collector import Collector
from fleet.courier import Courier
from fleet.database import DatabaseError
from fleet.keys import AckKey, KeyFileError, beside, load_or_make, shared_group
from fleet.listener import Listener
from fleet.replay import Replayer
from fleet.store import Address, Server, open_store
from terminald.broker import Broker
from terminald.clock import SystemClock
from terminald.logs import configure
from terminald.uplink import Uplink, User

if TYPE_CHECKING:
    from fleet.webhook import Webhook

SWITCH_S = 0.0002
"""Each packet is several reads, and after each the loop's thread may have to wait for the databases' to let go of the
interpreter: with Python's own 5 ms for this, a busy collector would read some dozens of packets a second."""
SESSION_EXPIRY_S = 3600
"""How long a broker keeps messages for a collector that went away; terminals send again what it forgot."""
EARLIER_AFTER_S = 15.0
"""How often a collector on a later broker looks for an earlier one: it is to be there before the terminals are."""

_STOPS = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


def collect(
    *,
    brokers: Sequence[Broker],
    database: Address,
    key: Path | None,
    ack_public_key_file: Path | None,
    webhook: str | None = None,
    webhook_secret: str | None = None,
    silent_after_min: int | None = None,
) -> int:
    """Runs until SIGTERM or SIGINT, finishes what is in hand, and gives 0. Raises DatabaseError, KeyFileError."""
    for number in _STOPS:
        signal.signal(number, lambda *_: sys.exit(0))  # until the loop takes them over
    configure()
    sys.setswitchinterval(SWITCH_S)
    clock = SystemClock()
    signer = load_or_make(key or beside(database))
    if ack_public_key_file is not None:
        try:
            ack_public_key_file.write_text(signer.public_key.hex() + "\n", "ascii")
        except OSError as error:
            raise KeyFileError(f"{ack_public_key_file}: {error.strerror}") from error
    opened = open_store(database, now_ms=clock.stamp().time_ms)
    shared = isinstance(database, Server)
    collector = Collector(database=opened, key=signer, clock=clock, shared=shared)
    teller = _teller(webhook, webhook_secret, database, clock)
    listener = Listener(
        database=open_store(database, now_ms=clock.stamp().time_ms),
        clock=clock,
        groups=topics.shared(shared_group(signer, "telemetry"), topics.EVERY_TELE) if shared else topics.EVERY_TELE,
        heard=collector.heard,
        noted=teller.noted if teller is not None else None,
        silent_after_s=silent_after_min * 60 if silent_after_min is not None else None,
    )
    replayer = Replayer(database=database, key=signer, shared=shared)
    courier = Courier(database=open_store(database, now_ms=clock.stamp().time_ms), key=signer, clock=clock)
    try:
        asyncio.run(_run(brokers, collector, listener, [replayer, courier], teller, signer, clock, shared))
    except BaseExceptionGroup as group:
        # Not by except*: before Python 3.11.4 what is raised in one comes out wrapped in another group.
        errors, others = group.split(DatabaseError)
        if others is not None or errors is None:
            raise
        raise _first(errors) from group
    finally:
        courier.close()
        replayer.close()
        listener.close()
        if teller is not None:
            teller.close()
        collector.close()
    return 0


def _teller(url: str | None, secret: str | None, database: Address, clock: SystemClock) -> "Webhook | None":
    if url is None:
        return None
    from fleet.webhook import Webhook

    opened = open_store(database, now_ms=clock.stamp().time_ms)
    return Webhook(url=url, secret=secret, database=opened, clock=clock, random=Random())


async def _run(
    brokers: Sequence[Broker],
    collector: Collector,
    listener: Listener,
    others: Sequence[User],
    teller: "Webhook | None",
    signer: AckKey,
    clock: SystemClock,
    shared: bool,
) -> None:
    # One of several has a name of its own for its connection's life: a broker keeps nothing for the dead one, whose share
    # would else wait there for nobody.
    own = f"-{secrets.token_hex(4)}" if shared else ""
    name = f"headquarters-{signer.public_key.hex()[:16]}"
    money = Uplink(
        brokers=brokers,
        client_id=f"{name}{own}",
        users=[collector, *others],
        clock=clock,
        random=Random(),
        session_expiry_s=0 if shared else SESSION_EXPIRY_S,
        earlier_after_s=EARLIER_AFTER_S,
        unheard_after_s=math.inf,
    )
    # A connection of its own: a fleet that comes back tells so much at once that answers to money would wait behind it.
    health = Uplink(
        brokers=brokers,
        client_id=f"{name}-health{own}",
        users=[listener],
        clock=clock,
        random=Random(),
        earlier_after_s=EARLIER_AFTER_S,
        unheard_after_s=math.inf,
    )
    loop = asyncio.get_running_loop()
    _log.info("collecting; acknowledgements are signed by %s", signer.public_key.hex())
    stopped = asyncio.Event()
    for number in _STOPS:
        loop.add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(each.run(), name="uplink") for each in (money, health)]
        waiting = group.create_task(stopped.wait(), name="signals")
        telling = [group.create_task(teller.run(), name="webhook")] if teller is not None else []
        await asyncio.wait((*running, waiting, *telling), return_when=asyncio.FIRST_COMPLETED)
        for task in (*running, waiting, *telling):
            task.cancel()
    await listener.finish()
    await collector.finish()
    _log.info("stopped")


def _first(errors: BaseExceptionGroup[DatabaseError]) -> DatabaseError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
