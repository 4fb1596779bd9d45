"""A small till without devices: sells into a real journal, says what was acknowledged, and goes on where it was cut off.

``python -m tests.shim.seller FOLDER SALES`` prints ``ack ID`` for each step once the journal has taken it. A step's body
carries its ID, so that an oracle outside can count. `Fault` makes a till or a journal that is wrong in one way: what
looks for such faults must find these.
"""

import argparse
import asyncio
import enum
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from core.ledger import ClockQuality, Draft, Record, Stamp, Stream, open_record
from store.journal import SqlJournal
from store.keys import KeyFile, TerminalSigner
from store.verify import iter_records

FRAMES_WARM = 24
"""A log so small that it starts over every few sales."""

STAMP = Stamp(time_ms=1_700_000_000_000, clock=ClockQuality.NTP, boot="0123456789abcdef", mono_ms=1)


class Fault(enum.StrEnum):
    """One way to be wrong."""

    EARLY_ACK = "early-ack"  # acknowledges before the commit
    BLIND_RETRY = (
        "blind-retry"  # after a restart does again what was not acknowledged, without looking whether it was kept
    )


class _Body(msgspec.Struct, frozen=True):
    id: str
    sold: str = ""


def plan(sales: int) -> list[str]:
    """The IDs of all steps, in order."""
    return [f"{sale}/{step}" for sale in range(sales) for step in ("open", "item", "paid")]


def recorded(folder: Path) -> list[str]:
    """The IDs of the steps that the journal holds, in order."""
    records = iter_records(folder / "journal.db", KeyFile(folder / "journal.key").load().journal)
    return [step for record in records if (step := _step(record))]


async def sell(
    folder: Path,
    sales: int,
    *,
    acknowledged: int = 0,
    fault: Fault | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Starts as a terminal does, with or without files, and does all steps that are not done yet.

    `say` gets each step's ID once it is acknowledged; `acknowledged` is how many were before.
    """
    path = folder / "journal.db"
    keys = KeyFile(folder / "journal.key").load_or_make([path])
    signer = TerminalSigner.open(folder / "signing.key", keys, [path])
    async with await SqlJournal.open(
        path, keys.journal, terminal="till-1", signing_key=signer.public_key, stamp=STAMP, frames_warm=FRAMES_WARM
    ) as journal:
        steps = plan(sales)
        done = {step async for record in journal.replay() if (step := _step(record))}
        if fault is Fault.BLIND_RETRY:
            done = set(steps[:acknowledged])
        for step in steps:
            if step not in done:
                await _do(journal, step, fault, say)


async def _do(journal: SqlJournal, step: str, fault: Fault | None, say: Callable[[str], None]) -> None:
    if fault is Fault.EARLY_ACK:
        say(step)
    paid = step.endswith("/paid")
    body = msgspec.json.encode(_Body(step, sold="x" * 300))
    draft = Draft(stream=Stream.SALES, body=body, moves_money=paid)
    drafts = [draft, _technical(step)] if paid else [draft]
    await journal.append(drafts, STAMP, key=step if paid and fault is not Fault.BLIND_RETRY else None)
    if fault is not Fault.EARLY_ACK:
        say(step)
    if paid and int(step.split("/")[0]) % 3 == 2:
        await journal.acknowledge(journal.head.epoch, journal.synced.seq, b"ack")
        await journal.save_checkpoint(journal.head.seq, b"state")


def _technical(step: str) -> Draft:
    return Draft(stream=Stream.TECHNICAL, body=msgspec.json.encode({"about": step}), moves_money=False)


def _step(record: Record) -> str | None:
    envelope = open_record(record.exact)
    return msgspec.json.decode(envelope.body, type=_Body).id if envelope.stream is Stream.SALES else None


def _print(step: str) -> None:
    os.write(1, f"ack {step}\n".encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sales", type=int)
    parser.add_argument("--acknowledged", type=int, default=0)
    parser.add_argument("--fault", type=Fault)
    arguments = parser.parse_args()
    asyncio.run(
        sell(
            arguments.folder,
            arguments.sales,
            acknowledged=arguments.acknowledged,
            fault=arguments.fault,
            say=_print,
        )
    )
